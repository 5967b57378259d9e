"""One run over a study: what it looks for close pairs by already, and what is asked for now.

A study goes on with every metric that it ever compared by: an image may be sampled only where its nearest unreviewed
neighbour is far in each of them (Recht et al. 2019), so a download that one of them has not seen would wait. A metric
that turned out to be of no use is left out by name; its pairs ask nobody any more, verdicts that were given stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from newtest.catalog import pair_searches, transaction
from newtest.clip.describer import Describer, describer
from newtest.duplicates.features import FEATURES_CLOSE, feature_metric, measure_features
from newtest.duplicates.measure import measure_dssim, measure_l2
from newtest.duplicates.metrics import L2
from newtest.duplicates.scan import ScanConfig, ScanReport, scan, scan_config
from newtest.errors import NewtestError, UsageError
from newtest.progress import UNWATCHED, Progress
from newtest.study import Study, now

__all__ = ["DedupReport", "DedupRequest", "dedup"]

_ALWAYS = ("bytes", "hash")
_BUILT_IN = (*_ALWAYS, "l2", "dssim")


@dataclass(frozen=True)
class DedupRequest:
    """What a run adds to what the study compares by, and what it leaves out; None: as before, else the default.

    ``features`` names a describer (``newtest.clip.describer``). Classes of ``dssim_classes`` are gone through now, and
    not by later runs.
    """

    radius: int | None = None
    turns: bool | None = None
    l2: bool = False
    dssim: bool = False
    dssim_classes: tuple[str, ...] = ()
    features: str | None = None
    features_distance: float | None = None
    without: tuple[str, ...] = ()


@dataclass
class DedupReport:
    """What was done: the scan, new pairs per metric, pairs measured by DSSIM (None: not at all), and by what."""

    scan: ScanReport
    new_pairs: dict[str, int]
    dssim: dict[str, int] | None = None
    looked_by: list[pair_searches.PairSearch] = field(default_factory=list)


def dedup(study: Study, request: DedupRequest, *, progress: Progress = UNWATCHED) -> DedupReport:
    """Find close pairs by all that the study compares by, and by what the request adds.

    Raises UsageError for a name in ``without`` that the study does not compare by, and what the stages raise.
    """
    asked = describer(request.features) if request.features else None
    _leave_out(study, request, asked)
    before = scan_config(study)
    config = ScanConfig(
        radius=before.radius if request.radius is None else request.radius,
        turns=before.turns if request.turns is None else request.turns,
    )
    found = scan(study, config, progress=progress)
    report = DedupReport(found, dict(found.new_pairs))
    used = pair_searches.chosen(study.catalog)
    if request.l2 or "l2" in used:
        report.new_pairs[L2] = sum(measure_l2(study, progress=progress).values())
    if asked is not None:
        limit = request.features_distance
        if limit is None:
            limit = float(used[asked.source].settings["limit"]) if asked.source in used else FEATURES_CLOSE
        report.new_pairs[feature_metric(asked)] = sum(
            measure_features(study, asked, limit=limit, progress=progress).values()
        )
    for name, search in used.items():
        if name not in _BUILT_IN and (asked is None or name != asked.source):
            metric, new = _again(study, name, float(search.settings["limit"]), progress)
            report.new_pairs[metric] = new
    if request.dssim or request.dssim_classes or "dssim" in used:
        report.dssim = measure_dssim(study, classes=request.dssim_classes)
    report.looked_by = list(pair_searches.chosen(study.catalog).values())
    return report


def _leave_out(study: Study, request: DedupRequest, asked: Describer | None) -> None:
    used = pair_searches.chosen(study.catalog)
    may = [name for name in used if name not in _ALWAYS]
    wanted = {*(["l2"] if request.l2 else []), *(["dssim"] if request.dssim else [])}
    wanted |= {asked.source} if asked else set()
    for name in request.without:
        if name not in may:
            raise UsageError(
                f"{name!r} cannot be left out: beside bytes and hash the study looks for pairs by "
                + (", ".join(may) or "nothing")
            )
        if name in wanted:
            raise UsageError(f"{name!r} is asked for and left out in one call: give one of the two")
    with transaction(study.catalog):
        for name in request.without:
            pair_searches.drop(study.catalog, name, at=now())


def _again(study: Study, name: str, limit: float, progress: Progress) -> tuple[str, int]:
    """A model that the study compared by before: its metric, and how many pairs are new."""
    try:
        model = describer(name)
        return feature_metric(model), sum(
            measure_features(study, model, limit=limit, progress=progress).values()
        )
    except NewtestError as error:
        raise NewtestError(
            f"{error} (earlier runs of this study used it: newtest dedup with `without` {name} leaves it out)"
        ) from error
