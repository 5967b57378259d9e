"""Where work runs: local processes, or Ray. A leaf: imports neither side."""
