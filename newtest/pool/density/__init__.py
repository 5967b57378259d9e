"""Density-based pruning: keep more of what is varied, less of what is alike."""
