"""Where candidates come from: flickr, openverse, recorded results, a folder, a table."""

from newtest.sources.licenses import checked_licenses
from newtest.sources.opening import KINDS, open_source
from newtest.sources.protocol import Page, SearchPlan, Source, images_of

__all__ = ["KINDS", "Page", "SearchPlan", "Source", "checked_licenses", "images_of", "open_source"]
