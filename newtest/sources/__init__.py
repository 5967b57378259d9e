"""Where candidates come from: flickr, openverse, recorded results, a folder, a table."""

from newtest.sources.budget import Budget, Limits, budget_of
from newtest.sources.licenses import checked_licenses
from newtest.sources.opening import KINDS, open_source
from newtest.sources.protocol import Page, SearchPlan, Source, images_of

__all__ = [
    "KINDS",
    "Budget",
    "Limits",
    "Page",
    "SearchPlan",
    "Source",
    "budget_of",
    "checked_licenses",
    "images_of",
    "open_source",
]
