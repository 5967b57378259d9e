"""Runs a tutorial as a reader would: each command in a shell, each Python block, each output compared.

A block without a language holds commands, ``text`` behind it their output, ``python`` is run in the same folder.
``<!-- WHY -->`` on the line above a block that begins with "not run:" leaves the block out.
In an output ``...`` stands for any text, or on a line of its own for any lines; rates are not compared.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "Reader", "blocks", "not_in", "stale"]

FENCED = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]*) -->\n)?^```(?P<language>\S*)\n(?P<text>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
RATES = re.compile(r"\d[\d,.]* (?:per second|MiB|KiB|s\b)|\d+ of \d+ in \d[\d.:]*")


@dataclass(frozen=True)
class Block:
    """One block of a page. ``language``: "" for commands, "text" for output, "python"."""

    language: str
    text: str
    skipped: bool


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page in order, but for those of other programs' languages (toml, csv)."""
    for found in FENCED.finditer(page.read_text()):
        if found["language"] in ("", "text", "python"):
            yield Block(found["language"], found["text"], found["why"] is not None)


class Reader:
    """Somebody who types what a page says, in a folder of theirs; ``cd`` lasts, as in a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._where = folder / ".where"
        bin_folder = Path(sys.executable).parent
        source = Path(__file__).resolve().parents[2]
        self.env = {
            **os.environ,
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(source),
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }

    def run(self, block: Block) -> str:
        """Run commands or Python and give what was printed on both streams.

        Raises:
            AssertionError: A command ended with another code than 0; the message has its output.
        """
        script = f"{block.text}\npwd > {shlex.quote(str(self._where))}"
        python = [sys.executable, "-c", block.text]
        done = subprocess.run(
            python if block.language == "python" else ["bash", "-e", "-c", script],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}"
        if block.language != "python":
            self.folder = Path(self._where.read_text().strip())
        return done.stdout

    def stale(self, steps: Iterable[Block]) -> list[str]:
        """Run blocks in order; the lines of their outputs that were not printed."""
        printed, found = "", []
        for step in steps:
            if step.language == "text" and not step.skipped:
                found += not_in(step.text, printed)
            elif not step.skipped:
                printed = self.run(step)
        return found


def stale(page: Path, folder: Path, instead: Container[str] = ()) -> list[str]:
    """What a page says that a run of it did not show. ``instead``: blocks whose work is done already."""
    return Reader(folder).stale(block for block in blocks(page) if block.text not in instead)


def not_in(expected: str, printed: str) -> list[str]:
    """The lines of an output on a page that a run did not print, in the page's order."""
    lines = [_plain(line) for line in printed.splitlines()]
    missing: list[str] = []
    at = 0
    for line in expected.splitlines():
        if not line.strip() or line.strip() == "...":
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in _plain(line).split("...")))
        found = next((n for n in range(at, len(lines)) if pattern.fullmatch(lines[n])), None)
        if found is None:
            missing.append(line)
        else:
            at = found + 1
    return missing


def _plain(line: str) -> str:
    return " ".join(RATES.sub("#", line).split())
