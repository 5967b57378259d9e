"""HITs, templates, the crowd server, the MTurk protocol, importers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newtest.lazy import face

if TYPE_CHECKING:
    from newtest.crowd.annotators import Annotator, PublishConfig, collect, publish
    from newtest.crowd.hits import Hit, PlanConfig
    from newtest.crowd.local import LocalAnnotator
    from newtest.crowd.pay import act_on, propose
    from newtest.crowd.planning import HitPlan, make_plan, store_plan
    from newtest.crowd.second_labels import SecondLabelRule, second_label_votes

_HOMES = {
    "newtest.crowd.annotators": (
        "Annotator",
        "PublishConfig",
        "collect",
        "publish",
    ),
    "newtest.crowd.hits": (
        "Hit",
        "PlanConfig",
    ),
    "newtest.crowd.local": ("LocalAnnotator",),
    "newtest.crowd.pay": (
        "act_on",
        "propose",
    ),
    "newtest.crowd.planning": (
        "HitPlan",
        "make_plan",
        "store_plan",
    ),
    "newtest.crowd.second_labels": (
        "SecondLabelRule",
        "second_label_votes",
    ),
}

__all__ = [
    "Annotator",
    "Hit",
    "HitPlan",
    "LocalAnnotator",
    "PlanConfig",
    "PublishConfig",
    "SecondLabelRule",
    "act_on",
    "collect",
    "make_plan",
    "propose",
    "publish",
    "second_label_votes",
    "store_plan",
]

__getattr__, __dir__ = face(__name__, _HOMES)
