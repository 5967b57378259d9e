"""Encoders (open_clip, ConSE), zero-shot, probes, weight interpolation. A leaf: imports neither side."""
