"""Exact neighbours: who is close to whom, without an index that may miss some.

``hamming_pairs`` joins binary hashes within a radius.
"""

from newtest.neighbors.hamming import hamming, hamming_pairs

__all__ = ["hamming", "hamming_pairs"]
