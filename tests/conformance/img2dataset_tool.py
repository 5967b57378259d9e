"""img2dataset's own code, in a virtual environment of its own: it pins an older pandas than newtest's tests have."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from needs import missing

__all__ = ["downloaded", "resized_by_theirs"]

WANTED = ("img2dataset==1.47.0",)
SCRIPT = """
import json, sys
from img2dataset import download
if __name__ == "__main__":
    download(**json.loads(sys.argv[1]))
"""


def environment() -> Path:
    """Its Python; made once, below the folder for caches."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "newtest-tests" / f"{WANTED[0]}-py{sys.version_info[0]}{sys.version_info[1]}"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        with tempfile.TemporaryDirectory() as nowhere:  # without an index it is over in seconds
            _pip(sys.executable, "download", "-q", "--no-deps", "--retries", "0", "-d", nowhere, *WANTED)
        venv.create(folder, with_pip=True, clear=True)
        _pip(str(python), "install", "-q", "--retries", "1", *WANTED)
        ready.touch()
    return python


def _pip(python: str, *arguments: str) -> None:
    """Skip, or fail in CI, where pip reaches no index."""
    command = [python, "-m", "pip", *arguments, "--timeout", "10", "--disable-pip-version-check"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        missing(f"{WANTED[0]} cannot be installed: pip took more than five minutes")
        return
    if done.returncode:
        missing(f"{WANTED[0]} cannot be installed ({done.stderr.strip()[-200:]})")


def downloaded(options: str) -> None:
    """Run ``img2dataset.download`` with options in JSON."""
    quiet = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
    quiet.pop("PYTHONPATH", None)
    done = subprocess.run(
        [environment(), "-c", SCRIPT, options],
        capture_output=True,
        text=True,
        timeout=120,
        env=quiet,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


RESIZER = """
import io, json, sys
from pathlib import Path
from img2dataset.resizer import Resizer
folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
for name, arguments in options.items():
    data, width, height, *_, error = Resizer(**arguments)(io.BytesIO((folder / "in.png").read_bytes()))
    assert error is None, error
    (folder / f"{name}.png").write_bytes(data)
"""


def resized_by_theirs(folder: Path, options: str) -> None:
    """``in.png`` of a folder by img2dataset's ``Resizer``, with options in JSON by the name of what is written."""
    quiet = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    quiet.pop("PYTHONPATH", None)
    done = subprocess.run(
        [environment(), "-c", RESIZER, str(folder), options],
        capture_output=True, text=True, timeout=120, check=False, env=quiet,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
