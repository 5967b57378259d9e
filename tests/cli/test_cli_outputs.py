"""No command writes over what newtest did not make: every option that names an output, found by looking at them all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import invoke

from newtest.cli.app import command
from newtest.errors import NewtestError
from newtest.outputs import claim_folder, made_path, write_made
from newtest.pool.storage.claims import claim
from newtest.pool.storage.location import place_of
from newtest.study import Study

FILES = {
    "annotate pay": {"--out": ()},
    "annotate preview": {"--out": ()},
    "balance-pool": {"--out": ()},
    "decontaminate-pool": {"--out": ()},
    "dedup-pool": {"--out": ()},
    "annotate design": {"--plot": ()},
    "diagnose": {"--plot": ("a-0",)},
    "filter-pool": {"--out": ()},
    "frequencies": {"--out": ()},
    "merge greedy": {"--out": ("a.npz",), "--log": ("a.npz", "--out", "b.npz", "--score-command", "true")},
    "merge uniform": {"--out": ("a.npz",)},
    "prune-pool": {"--out": ()},
    "report atlas": {"--out": ("r",)},
    "report gap": {"--figure": ("r", "--original", "o")},
    "report line": {"--figure": ("r", "--x", "o", "--y", "n")},
    "report similarity": {"--figure": ("r", "--set", "s"), "--matrix": ("r", "--set", "s")},
    "report table": {"--out": ("r", "--original", "o")},
    "sample": {"--feasibility": ()},
    "search-pool": {"--out": ()},
    "votes export": {"out": ()},
    "votes quality": {"--out": ()},
    "zeroshot": {"--save-embeddings": ("set",)},
}
"""Command -> option that names a file to write -> what else must be typed."""
FOLDERS = {
    "annotate pay": {"--prolific": ()},
    "audit-pool": {"--out": ()},
    "corrupt": {"--out": ("set",)},
    "demo": {"--out": ()},
    "evaluate": {"--out": ("set",)},
    "filter-pool": {"--report": ()},
    "merge wise": {"--out": ("--zeroshot", "a.npz", "--finetuned", "b.npz")},
    "probe": {"--out": ("--train", "a.npz", "--test", "b.npz")},
    "release": {"--out": ("a-0",)},
    "report html": {"--out": ("r", "--original", "o")},
    "zeroshot": {"--out": ("set",)},
}
CHECKS = {"own_file", "own_folder", "own_subset", "on_this_machine", "_own_log"}
POOLS = {"caption-pool", "fetch-pool", "import-pool", "reshard-pool"}


def leaves(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for each, below in command.commands.items():
            yield from leaves(below, f"{name} {each}".strip())
    else:
        yield name, command


@pytest.fixture(scope="module")
def every() -> dict[str, Any]:
    return dict(leaves(command()))


def test_the_lists_above_name_every_output(every: dict[str, Any]) -> None:
    checked = {
        (name, parameter.opts[0])
        for name, command in every.items()
        for parameter in command.params
        if getattr(parameter.callback, "__name__", "")
        in ("own_file", "own_folder", "own_subset", "on_this_machine", "_own_log")
    }
    listed = {
        (name, option) for table in (FILES, FOLDERS) for name, options in table.items() for option in options
    }
    named_out = {
        (name, parameter.opts[0]) for name, command in every.items() for parameter in command.params
        if parameter.name in ("out", "plot", "figure", "matrix", "log", "report", "feasibility", "save_embeddings")
    }  # fmt: skip
    pools = {(name, "--out") for name in POOLS}
    assert named_out <= listed | pools
    assert checked == listed


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "study"
    Study(folder, create=True).close()
    return folder


def run(words: str, option: str, target: str, more: tuple[str, ...]) -> str:
    """What a command says that is asked to write to ``target``; it must refuse, in one sentence."""
    typed = [*words.split(), *more, *([option, target] if option.startswith("-") else [target])]
    result = invoke(typed)
    assert isinstance(result.exception, NewtestError), (words, result.output, result.exception)
    return str(result.exception)


@pytest.mark.parametrize(
    ("words", "option"), [(name, each) for name, found in FILES.items() for each in found]
)
def test_a_file_of_somebody_else_stays(
    words: str, option: str, every: dict[str, Any], tmp_path: Path
) -> None:
    suffix = ".svg" if option in ("--plot", "--figure") else ".npz" if words.startswith("merge") else ".csv"
    target = tmp_path / f"theirs{suffix}"
    target.write_text("a year of work")
    said = run(words, option, str(target), FILES[words][option])
    assert str(target) in said
    assert target.read_text() == "a year of work"
    assert "s3://bucket/x" in run(words, option, "s3://bucket/x.npz", FILES[words][option])


@pytest.mark.parametrize(
    ("words", "option"), [(name, each) for name, found in FOLDERS.items() for each in found]
)
def test_a_folder_of_somebody_else_stays(
    words: str, option: str, every: dict[str, Any], study: Path, tmp_path: Path
) -> None:
    target = tmp_path / "theirs"
    target.mkdir()
    (target / "report.html").write_text("theirs")
    more = FOLDERS[words][option] + (("--study", str(study)) if words == "release" else ())
    if words != "release":  # a release refuses every folder that is there
        assert str(target) in run(words, option, str(target), more)
    assert [(path.name, path.read_text()) for path in target.iterdir()] == [("report.html", "theirs")]
    assert "s3://bucket/x" in run(words, option, "s3://bucket/x", more)
    assert not Path("s3:").exists()


@pytest.mark.parametrize("made_by", sorted(POOLS))
def test_a_pool_of_somebody_else_stays(made_by: str, tmp_path: Path) -> None:
    (tmp_path / "00000000.parquet").write_bytes(b"theirs")
    with pytest.raises(NewtestError, match="did not make"):
        claim(place_of(tmp_path), made_by, {"recipe": 1}, "other")
    assert [path.name for path in tmp_path.iterdir()] == ["00000000.parquet"]


def test_below_a_link_that_leads_nowhere_no_folder_is_made(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NewtestError, match="in the place of a folder"):
        claim_folder(tmp_path / "link" / "out")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_of_ours_is_written_again_until_somebody_changes_it(tmp_path: Path) -> None:
    path = tmp_path / "a\nb.csv"
    for text in ("one", "two", "one"):
        write_made(path, text)
    assert path.read_text() == "one"
    path.write_text("one, and a remark of mine")
    with pytest.raises(NewtestError, match="changed since"):
        write_made(path, "two")
    assert path.read_text() == "one, and a remark of mine"


def test_a_run_that_dies_before_its_file_appears_is_no_stranger_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_made(path, "one")
    with pytest.raises(KeyboardInterrupt), made_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    write_made(path, "two")
    digests = {hashlib.sha256(text).hexdigest() for text in (b"one", b"two")}
    assert {line.split()[0] for line in (tmp_path / ".newtest-made").read_text().splitlines()} == digests
