"""A pool of the shared photos: right captions for one half, another photo's for the other half."""

from __future__ import annotations

SIZE = 64  # photos; each costs a classifier's forward pass
