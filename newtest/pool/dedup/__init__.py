"""Find near-duplicates in a pool, and between a pool and test sets."""
