"""Functions of one's own that score image vectors: found by name, and told apart by their source.

``module:function`` is imported (from the current folder too), ``FILE.py:function`` is run from its file. What tells two
versions apart is the whole file that the function stands in, the ``__version__`` of its package, and the files of
weights that are named. What a function reads besides is not seen.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import PoolError, UsageError
from newtest.files import bytes_of, sha256_of

__all__ = ["Scorer"]

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scorer:
    """``function``: ``module:function``, ``FILE.py:function``, or a function, which takes (n, d) float32 vectors and
    answers (n,) numbers.

    ``weights`` are files that it reads; ``version`` is for what its source does not tell.
    """

    function: str | Callable[..., Any]
    weights: tuple[Path, ...] = ()
    version: str = ""

    @property
    def said(self) -> str:
        """Its name, without the folder of its file."""
        if not isinstance(self.function, str):
            return str(getattr(self.function, "__qualname__", type(self.function).__name__))
        file, _, name = self.function.rpartition(":")
        return f"{Path(file).name}:{name}" if file.endswith(".py") else self.function

    def load(self) -> Callable[..., Any]:
        """The function itself. Raises UsageError."""
        return self._found()[0]

    def _found(self) -> tuple[Callable[..., Any], str]:
        """The function, and the file of the module that it was asked for in."""
        if not isinstance(self.function, str):
            return self.function, ""
        place, colon, name = self.function.rpartition(":")
        if not colon or not place or not name:
            raise UsageError(f"`scorer` {self.function!r} is not module:function or FILE.py:function")
        with _explained(self.function):
            module = _from_file(Path(place)) if place.endswith(".py") else _imported(place)
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part, None)
        if not callable(found):
            raise UsageError(f"`scorer` {self.function}: there is no function {name!r} in it")
        return found, str(getattr(module, "__file__", None) or "")

    def identity(self) -> dict[str, Any]:
        """What makes its scores, as JSON values. Raises UsageError, also where two versions could not be told apart."""
        function, module = self._found()
        source = _source(function, module)
        if source is None and not self.version:
            raise UsageError(
                f"`scorer` {self.said}: its source cannot be read, so a changed one would not be noticed; give its "
                "`version`"
            )
        return {
            "scorer": self.said,
            "source": source,
            "version": self.version,
            "package": _package_version(function),
            "weights": [[path.name, _sha256(path)] for path in self.weights],
        }

    def scores(self, function: Callable[..., Any], vectors: Vectors) -> npt.NDArray[np.float32]:
        """What the function that ``load`` gave answers for vectors (n, d), as float32 (n,). Raises PoolError."""
        rows, numbers = vectors.shape
        try:
            with redirect_stdout(sys.stderr):  # stdout is the command's result
                values = np.asarray(function(vectors))
        except (Exception, SystemExit) as error:
            raise PoolError(
                f"`scorer` {self.said} failed on vectors of {numbers} numbers ({_told(error)})"
            ) from error
        if values.shape != (rows,) or values.dtype.kind not in "fiu":
            hint = "; 'scores[:, 0]' makes it one" if values.shape == (rows, 1) else ""
            raise PoolError(
                f"`scorer` {self.said} answered {_shape(values, rows)} for n vectors of {numbers} numbers; it must "
                f"answer one number for each, of shape (n,){hint}"
            )
        with np.errstate(over="ignore"):
            return values.astype(np.float32)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        _look_in(Path.cwd())
        return importlib.import_module(name)


class _Fresh(SourceFileLoader):
    """The source as it is now: a compiled copy may be older, and of the same second."""

    def get_code(self, fullname: str) -> CodeType | None:
        return self.source_to_code(bytes_of(self.path), self.path)


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"`scorer`: there is no file {path}")
    _look_in(path.parent)
    name = f"newtest_scorer_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_Fresh(name, str(path.resolve())))
    if spec is None or spec.loader is None:
        raise UsageError(f"`scorer` {path}: cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


def _look_in(folder: Path) -> None:
    """Modules are looked for in a folder last: nothing that is installed is replaced by a file that lies there."""
    if str(folder.resolve()) not in sys.path:
        sys.path.append(str(folder.resolve()))
        importlib.invalidate_caches()


@contextmanager
def _explained(said: str) -> Iterator[None]:
    try:
        with redirect_stdout(sys.stderr):
            yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"`scorer` {said}: cannot be loaded ({_told(error)})") from error


def _source(function: Callable[..., Any], module: str) -> str | None:
    """The sha256 of the files that hold a function and its module, else of its own text; None where there are none.

    ``module`` is the file of the module that it was found in, behind decorators it may stand in another one.
    """
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    files = {Path(name) for name in (module, code.co_filename if code is not None else "") if name}
    hashes = sorted(sha256_of(path) for path in files if path.is_file())
    if hashes:
        return hashlib.sha256(" ".join(hashes).encode()).hexdigest()
    if not isinstance(function, FunctionType):
        return None
    try:
        return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()
    except (OSError, TypeError):
        return None


def _package_version(function: Callable[..., Any]) -> str:
    top = str(getattr(function, "__module__", "") or "").partition(".")[0]
    version = getattr(sys.modules.get(top), "__version__", "")
    return version if isinstance(version, str) else ""


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise UsageError(f"`weights` {path}: cannot be read ({error.strerror or error})") from error


def _told(error: BaseException) -> str:
    return re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")[:300]


def _shape(values: npt.NDArray[Any], rows: int) -> str:
    """In words, the same for shards of other sizes: ``shape (n, 1) of float32``."""
    if not values.shape:
        return f"one value of {values.dtype}"
    sides = ["n" if side == rows else str(side) for side in values.shape]
    return f"shape ({', '.join(sides)}{',' if len(sides) == 1 else ''}) of {values.dtype}"
