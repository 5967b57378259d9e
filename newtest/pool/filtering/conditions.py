"""Rules on any column, written as one would say them: ``score<=0.5``, ``license=by,cc0``, ``LANGUAGE!=en``,
``width=200..800``, ``taken>=2020-01-31``, ``nsfw=null``; and functions of one's own.

A row whose value is null (or NaN) is dropped under a reason of its own by every rule but ``COLUMN=null``. Numbers are
compared in the column's own precision, as pandas, NumPy, DuckDB and Polars do: a float32 of 0.35 is at least 0.35.
"""

from __future__ import annotations

import importlib.util
import inspect
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from newtest.errors import PoolError, UsageError
from newtest.pool.filtering.filters import Verdict, verdict
from newtest.pool.storage.columns import arrow, numbers

__all__ = ["Condition", "PythonFilter", "condition", "python_filter"]

_OPERATORS = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Condition:
    """``column`` compared with ``values``: one for an order, any number for ``=`` and ``!=``, none for null."""

    column: str
    sign: str
    values: tuple[str, ...]
    reasons: tuple[str, ...] = ("no value", "not as asked")
    cost: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def said(self) -> str:
        """As it is typed."""
        return f"{self.column}{self.sign}{','.join(self.values) if self.values else 'null'}"

    def keep(self, table: pa.Table) -> Verdict:
        column = table[self.column].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        column = pc.cast(column, kind) if kind != column.type else column
        missing = np.asarray(pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False), np.bool_)
        nothing = np.zeros(len(missing), np.bool_)
        if not self.values:
            return verdict(nothing, ~missing) if self.sign == "=" else verdict(missing, nothing)
        return verdict(missing, ~self._met(column, kind))

    def describe(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {"rule": self.said}

    def _met(self, column: pa.Array, kind: pa.DataType) -> npt.NDArray[np.bool_]:
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return self._met_by_numbers(column, kind)
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            return self._met_by_times(column, kind)
        if pa.types.is_boolean(kind):
            wanted = [_truth(self.column, value) for value in self.values]
            return self._among(pc.is_in(column, pa.array(wanted, pa.bool_())))
        name = str(kind).removeprefix("large_")
        if name not in ("string", "string_view", "binary", "binary_view"):
            raise PoolError(
                f"the column {self.column!r} holds {kind}: rules are on numbers, dates, texts and true or false"
            )
        if self.sign not in ("=", "!="):
            raise PoolError(
                f"the column {self.column!r} holds text: {self.sign} is for numbers and dates, = and != are for "
                "texts"
            )
        if name.startswith("binary"):  # compared by its bytes, for it may not be text
            wanted = pa.array([value.encode() for value in self.values], pa.large_binary())
            return self._among(pc.is_in(pc.cast(column, pa.large_binary()), wanted))
        column = pc.cast(column, pa.large_string())
        return self._among(pc.is_in(column, pa.array(list(self.values), pa.large_string())))

    def _met_by_numbers(self, column: pa.Array, kind: pa.DataType) -> npt.NDArray[np.bool_]:
        exact = pa.types.is_float32(kind) or pa.types.is_float16(kind)
        if pa.types.is_integer(kind):  # a float64 holds whole numbers below 2**53 alone
            column = pc.fill_null(column, pa.scalar(0, kind))
        elif not exact:
            column = arrow(numbers(column))
        values: npt.NDArray[Any] = np.asarray(column.to_numpy(zero_copy_only=False))
        limits = [_limits(self.column, value) for value in self.values]
        if exact:
            with np.errstate(over="ignore"):
                limits = [(values.dtype.type(low), values.dtype.type(high)) for low, high in limits]
        with np.errstate(invalid="ignore"):
            if self.sign in ("=", "!="):
                met = np.zeros(len(values), np.bool_)
                for low, high in limits:
                    met |= (values >= low) & (values <= high)
                return met if self.sign == "=" else ~met
            low, high = limits[0]
            if low != high:
                raise UsageError(f"{self.said}: a range goes with = and !=")
            return np.asarray(_OPERATORS[self.sign](values, low), np.bool_)

    def _met_by_times(self, column: pa.Array, kind: pa.DataType) -> npt.NDArray[np.bool_]:
        limits = [_times(self.column, value, kind) for value in self.values]
        if self.sign in ("=", "!="):
            met = np.zeros(len(column), np.bool_)
            for low, high in limits:
                met |= _mask(pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high)))
            return met if self.sign == "=" else ~met
        low, high = limits[0]
        if low != high:
            raise UsageError(f"{self.said}: a range goes with = and !=")
        compare = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
        return _mask(compare[self.sign](column, low))

    def _among(self, found: pa.Array) -> npt.NDArray[np.bool_]:
        met = np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)
        return met if self.sign == "=" else ~met


def condition(text: str) -> Condition:
    """A rule from what was typed. Raises UsageError."""
    match = re.fullmatch(
        r"\s*(?P<column>[^<>=!]+?)\s*(?P<sign><=|>=|!=|==|=|<|>)\s*(?P<value>.*)", text, re.DOTALL
    )
    if match is None or not match["value"].strip():
        raise UsageError(
            f"`where` {text!r} is not COLUMN, one of <= >= < > = !=, and a value: score<=0.5, license=by,cc0, "
            "width=200..800, nsfw=null"
        )
    sign = "=" if match["sign"] == "==" else match["sign"]
    value = match["value"].strip()
    if value == "null":
        if sign not in ("=", "!="):
            raise UsageError(f"`where` {text!r}: null goes with = and != alone")
        return Condition(match["column"], sign, ())
    values = tuple(_cells(value)) if sign in ("=", "!=") else (value,)
    return Condition(match["column"], sign, values)


def _cells(value: str) -> Sequence[str]:
    """Texts with commas between; one in double quotes may hold commas itself."""
    cells = re.findall(r'\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)', value)
    found = [quoted.replace('""', '"') if quoted else plain.strip() for quoted, plain in cells]
    return found[:-1] if found and found[-1] == "" and not value.endswith(",") and len(found) > 1 else found


def _limits(column: str, value: str) -> tuple[Any, Any]:
    low, dots, high = value.partition("..")
    try:
        first, last = _number(low), _number(high if dots else low)
    except ValueError:
        raise UsageError(
            f"the column {column!r} holds numbers; {value!r} is not a number, nor a range such as 200..800"
        ) from None
    return first, last


def _times(column: str, value: str, kind: pa.DataType) -> tuple[pa.Scalar, pa.Scalar]:
    """A date or time of ISO 8601, in UTC where the column has a zone and the text has none; or a range of two."""
    low, dots, high = value.partition("..")
    utc = "Z" if pa.types.is_timestamp(kind) and kind.tz else ""
    found = []
    for text in (low.strip(), (high if dots else low).strip()):
        for said in (text, f"{text}{utc}", f"{text}T00:00:00{utc}"):
            try:
                found.append(pa.scalar(said).cast(kind))
                break
            except pa.ArrowInvalid:
                continue
        else:
            raise UsageError(
                f"the column {column!r} holds {kind}; {text!r} is not a date such as 2026-01-31, nor a time such as "
                "2026-01-31T12:00:00"
            )
    return found[0], found[1]


def _mask(found: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(found, fill_value=False).to_numpy(zero_copy_only=False), np.bool_)


def _number(text: str) -> float | int:
    return int(text) if re.fullmatch(r"[-+]?\d+", text.strip()) else float(text)


def _truth(column: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise UsageError(f"the column {column!r} holds true and false, and {value!r} is neither")
    return value.lower() == "true"


@dataclass(frozen=True)
class PythonFilter:
    """A function of one's own: its parameters name columns, each comes as a pandas Series of a batch's rows, and it
    answers a boolean for each row. It is called in this process, so it may be written in a notebook.
    """

    function: Callable[..., Any] = field(repr=False)
    name: str = ""
    reasons: tuple[str, ...] = ("the function says no",)
    cost: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.function).parameters)

    def keep(self, table: pa.Table) -> Verdict:
        name = self.name or getattr(self.function, "__name__", "function")
        answer = self.function(**{column: table[column].to_pandas() for column in self.columns})
        mask = np.asarray(answer)
        if mask.shape != (len(table),) or mask.dtype.kind not in "bO":
            raise PoolError(
                f"{name}: answered {mask.shape} of {mask.dtype} for {len(table)} rows; a boolean for each row is needed"
            )
        return verdict(~np.array([value is True or value is np.True_ for value in mask.tolist()], np.bool_))

    def describe(self) -> dict[str, Any]:
        """What a manifest says of it: the function's own source, where it can be had."""
        try:
            source = inspect.getsource(self.function)
        except (OSError, TypeError):
            source = None
        return {"function": self.name or getattr(self.function, "__name__", "function"), "source": source}


def python_filter(text: str) -> PythonFilter:
    """``FILE.py:NAME`` as a filter. Raises UsageError."""
    file, colon, name = text.rpartition(":")
    path = Path(file)
    if not colon or path.suffix != ".py" or not path.is_file():
        raise UsageError(f"`function` {text!r} is not FILE.py:NAME with a file that is there")
    spec = importlib.util.spec_from_file_location(f"newtest_rules_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"`function` {path}: cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(f"`function` {path}: there is no function {name!r} in it")
    return PythonFilter(function, name)
