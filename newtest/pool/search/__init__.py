"""Candidates from a pool: captions that name a class, and whose text is near the class's definition."""

from newtest.pool.search.found import FOUND_COLUMNS, Found, write_found
from newtest.pool.search.mentions import Mentions, definition_of
from newtest.pool.search.run import SearchConfig, search

__all__ = ["FOUND_COLUMNS", "Found", "Mentions", "SearchConfig", "definition_of", "search", "write_found"]
