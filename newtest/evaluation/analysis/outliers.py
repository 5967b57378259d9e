"""A guard over a whole table: a model so far below all the others that its predictions were likely misread."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import theilslopes

from newtest.evaluation.analysis.scales import from_percent, to_percent
from newtest.evaluation.scoring.cautions import Caution
from newtest.evaluation.scoring.results import pick

__all__ = ["far_below"]

MIN_MODELS = 8
SPREADS = 20.0
"""Of the others' spread about the line. The testbed's 338 models stay within 8; a ranking read in reverse is at 115."""
POINTS = 5.0
_MOST_FITTED = 1000


def far_below(table: pd.DataFrame, original: str, new: str) -> list[Caution]:
    """Models whose accuracy on ``new`` is far below what their accuracy on ``original`` predicts.

    The line is Theil and Sen's through logits (half of the models may be wrong before it moves), the spread the median
    absolute residual. Only below: a model far above is what effective robustness is about.
    """
    one, two = (pick(table, name).set_index("model")["accuracy"] for name in (original, new))
    both = pd.DataFrame({"x": one, "y": two}).dropna()
    both = both[(both > 0).all(axis=1) & (both < 100).all(axis=1)].sort_values(["x", "y"])
    if len(both) < MIN_MODELS or both["x"].nunique() < MIN_MODELS:
        return []
    x, y = from_percent(both["x"], "logit"), from_percent(both["y"], "logit")
    step = -(-len(both) // _MOST_FITTED)
    slope, intercept = theilslopes(y[::step], x[::step])[:2]
    residual = y - slope * x - intercept
    spread = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    predicted = to_percent(slope * x + intercept, "logit")
    low = (residual < -SPREADS * max(spread, 1e-3)) & (both["y"].to_numpy() < predicted - POINTS)
    reason = "its predictions here were likely stored in another order (of classes, of rows, or worst first)"
    return [
        Caution(
            "far-below",
            new,
            f"{found:.2f} %, where the other models' line says {line:.2f} %: {reason}",
            str(model),
        )
        for model, found, line in zip(both.index[low], both["y"].to_numpy()[low], predicted[low], strict=True)
    ]
