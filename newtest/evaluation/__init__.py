"""Predictions, intervals, lines, robustness, comparison, report."""
