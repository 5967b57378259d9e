"""What is installed on this machine, what is missing for which command, and how to fix it (``newtest doctor``)."""

from newtest.doctor.checks import Check, State, examine
from newtest.doctor.extras import EXTRAS

__all__ = ["EXTRAS", "Check", "State", "examine"]
