"""A pool on disk or in a store: its shards, layers and subsets, and one pass over them."""
