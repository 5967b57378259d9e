"""Each thing that newtest may use, with its state and the way to fix it. Nothing is downloaded or changed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from newtest.doctor.extras import EXTRAS, core, extra
from newtest.errors import ClassError
from newtest.files import cache_folder, state_folder
from newtest.version import __version__
from newtest.wordnet_files import find_wordnet

__all__ = ["Check", "State", "examine"]

State = Literal["ok", "missing", "wrong"]
"""``missing`` is what only some commands need; ``wrong`` must be fixed."""

_CUDA = (
    "import torch; print(torch.__version__); n = torch.cuda.device_count();"
    "print(', '.join(torch.cuda.get_device_name(i) for i in range(n)) if torch.cuda.is_available() else '')"
)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_KEYS = {
    "flickr": (("FLICKR_API_KEY", "FLICKR_API_SECRET"), "newtest collect --source flickr"),
    "openverse": (("OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET"), "more requests per day from Openverse"),
    "prolific": (("PROLIFIC_TOKEN",), "newtest annotate prolific"),
}


@dataclass(frozen=True)
class Check:
    """One thing: what was found, what it is for, and how to fix it ("" where nothing is wrong)."""

    name: str
    state: State
    found: str
    needed_for: str
    fix: str = ""


def examine() -> list[Check]:
    """Look at everything, in the order in which it is shown. Takes a few seconds where torch is installed."""
    return list(_all())


def _all() -> Iterator[Check]:
    yield Check("newtest", "ok", f"{__version__} in {Path(__file__).resolve().parents[1]}", "")
    yield Check("python", "ok", f"{platform.python_version()} in {sys.prefix}", "")
    yield _core()
    yield from (_extra(name, use) for name, use in EXTRAS.items())
    yield _wordnet()
    yield _chromium()
    yield _cuda()
    yield _folder("cache", cache_folder(), "NEWTEST_CACHE", "what is computed or downloaded once")
    yield _folder("state", state_folder(), "NEWTEST_STATE", "counts of requests, and the pace of each host")
    yield _folder(
        "models", _model_folder(), "HF_HOME", "weights of open_clip and timm, kept by huggingface_hub"
    )
    yield from (_key(name, variables, use) for name, (variables, use) in _KEYS.items())


def _core() -> Check:
    packages = core()
    bad = [str(package) for package in packages if not package.usable]
    found = ", ".join(bad) if bad else f"{len(packages)} packages"
    if not packages:
        found, bad = "newtest runs from a folder and is not installed", ["itself"]
    return Check(
        "core", "wrong" if bad else "ok", found, "every command", "pip install newtest" if bad else ""
    )


def _extra(name: str, use: str) -> Check:
    packages = extra(name)
    usable = bool(packages) and all(package.usable for package in packages)
    found = ", ".join(str(package) for package in packages) or "unknown to the installed newtest"
    fix = "" if usable else f'pip install "newtest[{name}]"'
    return Check(f"extra {name}", "ok" if usable else "missing", found, use, fix)


def _wordnet() -> Check:
    use = "classes, collect --wnid, filter-pool --basic --text-synsets"
    try:
        _, place = find_wordnet("data.noun", download=lambda: False)
    except ClassError as error:
        fix = "apt-get install wordnet-base, or: python -m nltk.downloader wordnet"
        return Check("wordnet", "missing", str(error).split(";")[0], use, fix)
    return Check("wordnet", "ok", f"WordNet 3.0 in {place}", use)


def _chromium() -> Check:
    use = "the browser tests of a checkout; no command needs it"
    place = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if place is None:
        return Check("chromium", "missing", "not on the PATH", use, "apt-get install chromium")
    return Check("chromium", "ok", place, use)


def _cuda() -> Check:
    """Asked in a process of its own: a broken torch or driver may end it."""
    use = "faster embed-pool, zeroshot, evaluate --model, dedup-pool"
    try:
        command = [sys.executable, "-c", _CUDA]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(
            "cuda", "missing", f"torch could not be asked ({error})", use, "nvidia-smi shows the driver"
        )
    if ended.returncode:
        why = "torch is not installed"
        if "No module named 'torch'" not in ended.stderr:
            why = "torch does not load: " + (ended.stderr.strip().splitlines() or ["it ended"])[-1]
        return Check("cuda", "missing", why, use, 'pip install "newtest[clip]"')
    torch, devices, *_ = *ended.stdout.splitlines(), "", ""
    if devices:
        return Check("cuda", "ok", f"{devices} (torch {torch})", use)
    fix = "install a torch with CUDA (pytorch.org) and NVIDIA's driver"
    return Check("cuda", "missing", f"torch {torch} sees no GPU", use, fix)


def _folder(name: str, place: Path, variable: str, use: str) -> Check:
    nearest = next(path for path in (place, *place.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        return Check(name, "wrong", f"{place} cannot be written", use, f"set {variable} to a folder of yours")
    free = shutil.disk_usage(nearest).free / 1e9
    there = "" if place.exists() else ", made when needed"
    return Check(name, "ok", f"{place}{there}; {free:.0f} GB free", use)


def _model_folder() -> Path:
    if named := os.environ.get("HF_HOME"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"


def _key(name: str, variables: tuple[str, ...], use: str) -> Check:
    """Whether the environment has a key; it is never shown. newtest's configuration file may hold it instead."""
    unset = [variable for variable in variables if not os.environ.get(variable)]
    if not unset:
        return Check(f"key {name}", "ok", f"{' and '.join(variables)} set", use)
    found = f"{' and '.join(unset)} not set in the environment"
    return Check(f"key {name}", "missing", found, use, f"export {' '.join(f'{each}=...' for each in unset)}")
