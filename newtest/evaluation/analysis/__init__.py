"""From k of n to lines, gaps, robustness and comparisons."""
