"""Which of the state dicts in a training script's checkpoint is meant: weights, their average, an optimiser's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from newtest.errors import WeightsError

__all__ = ["PREFERRED", "State", "chosen_state"]

PREFERRED = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params")
"""Where training scripts keep the weights, the one that is taken first; averages (``state_dict_ema``) are asked for."""


@dataclass(frozen=True)
class State:
    """``name`` is the key within the file, empty for a file that is a state dict; ``others`` are the other ones."""

    name: str
    tensors: Mapping[str, Any]
    others: tuple[str, ...] = ()


def chosen_state(loaded: Any, tensor: type, wanted: str | None, where: str) -> State:
    """The state dict ``wanted``, or the first of ``PREFERRED``, or the only one. Raises WeightsError.

    ``loaded`` is what a checkpoint holds; one that is itself a state dict has no other, whatever is required.
    """
    if not isinstance(loaded, dict) or not loaded:
        raise WeightsError(f"{where}: holds no state dict (names to tensors)")
    if all(isinstance(value, tensor) for value in loaded.values()):
        return State("", _named(loaded))
    states = {str(key): value for key, value in loaded.items() if _is_state(value, tensor)}
    if wanted is not None:
        chosen = wanted if wanted in states else None
    else:
        chosen = next((name for name in PREFERRED if name in states), None)
        if chosen is None and len(states) == 1:
            [chosen] = states
    if chosen is not None:
        others = tuple(name for name in states if name != chosen)
        return State(chosen, _named(states[chosen]), others)
    if states:
        raise WeightsError(
            f"{where}: holds {len(states)} state dicts ({', '.join(states)}){_none_of(wanted)}; choose one with `state`"
        )
    raise WeightsError(f"{where}: holds no state dict (names to tensors){_strange(loaded, tensor)}")


def _is_state(value: Any, tensor: type) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(one, tensor) for one in value.values())


def _none_of(wanted: str | None) -> str:
    return "" if wanted is None else f" and no {wanted!r}"


def _strange(loaded: dict[Any, Any], tensor: type) -> str:
    """What stands in the way: the first thing that is not a tensor where the weights should be."""
    for name in PREFERRED:
        if isinstance(loaded.get(name), dict):
            wrong = next(
                (key for key, value in loaded[name].items() if not isinstance(value, tensor)),
                "nothing at all",
            )
            return f": {name!r} is one but for {str(wrong)[:80]!r}"
    keys = ", ".join(repr(str(key)[:40]) for key in list(loaded)[:6])
    return f": there are {keys}"


def _named(state: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in state.items()}
