"""Image-text pools: layers, subsets, filters, dedup, decontamination, balancing, resharding."""
