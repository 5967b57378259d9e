"""What a study will cost and how well it will match, predicted from the votes of a pilot (docs/design.md)."""

from newtest.planner.outlook import Forecast, Outlook, foretell
from newtest.planner.pilot import Pilot, pilot_of, pilot_of_study
from newtest.planner.settings import Design, PlannerConfig, designs_of

__all__ = [
    "Design",
    "Forecast",
    "Outlook",
    "Pilot",
    "PlannerConfig",
    "designs_of",
    "foretell",
    "pilot_of",
    "pilot_of_study",
]
