"""Sets made harder on purpose: the fifteen corruptions of Hendrycks and Dietterich (2019), five severities each."""

from newtest.corruption.kinds import FAMILIES, KINDS, SEVERITIES, corrupted
from newtest.corruption.run import CorruptConfig, CorruptResult, corrupt_set

__all__ = ["FAMILIES", "KINDS", "SEVERITIES", "CorruptConfig", "CorruptResult", "corrupt_set", "corrupted"]
