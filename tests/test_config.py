from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from newtest.config import fingerprint, from_mapping, load_toml, to_mapping
from newtest.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    bins: tuple[float, ...] = (0.2, 0.4)
    name: str | None = None


def test_a_dataclass_survives_toml(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[sampling]\nbins = [0.5, 1]\nname = "x"\n')
    assert load_toml(Inner, tmp_path / "c.toml", table="sampling") == Inner((0.5, 1.0), "x")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"bin": 1}, "unknown key 'bin'"),
        ({"bins": "0.2"}, "a list is required"),
        ({"name": 3}, "str is required"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        from_mapping(Inner, values)


def test_fingerprints_name_the_value_not_the_order() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(Inner()) != fingerprint(Inner(name="y"))
    assert "name" not in to_mapping(Inner())
