"""Download a table of URLs and captions into shards, in a way that can be run again until nothing is left to try.

Each input table is cut into shards of so many rows; a shard's table says of every row what became of it
(``status`` "success" or "failed", ``error``, whether it is ``final``), as img2dataset's does. A later run
asks again for what failed and is not final, and writes the shard anew; everything else stays as it is. What
comes is written to journals at once, so a killed run asks for no image twice. Bytes are kept as they came,
unless faces are to be blurred or images to be resized.

``run`` takes some shards at a time, ``dealing`` gives each worker hosts of its own, ``downloading`` brings what they
have into journals, and ``shards`` writes the shards from these.
"""

from __future__ import annotations

from newtest.pool.fetching.run import fetch_shards
from newtest.pool.fetching.shards import Fetched

__all__ = ["Fetched", "fetch_shards"]
