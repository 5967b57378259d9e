"""Near-duplicates: metrics, review coverage, components."""
