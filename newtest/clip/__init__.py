"""Encoders (open_clip, ConSE), zero-shot, probes, weight interpolation. A leaf: imports neither side."""

from newtest.clip.describer import Describer
from newtest.clip.encoder import Encoder, Look, unit_rows

__all__ = ["Describer", "Encoder", "Look", "unit_rows"]
