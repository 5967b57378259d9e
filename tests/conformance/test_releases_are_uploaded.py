"""The documented command puts a release on a hub, and ``load_dataset("you/goldfish")`` has it: huggingface_hub 2.4 and
datasets 5.2 themselves, with a local server in the place of huggingface.co (``tests/servers/hub.py``).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from release_study import drawn_study
from servers.hub import hub

from newtest.releasing import build_release

ROOT = Path(__file__).resolve().parents[2]
LOADING = """
import json, sys
from datasets import load_dataset
rows = load_dataset("you/goldfish", cache_dir=sys.argv[1])
test = rows["test"]
print(json.dumps([list(rows), len(test), test.features["label"].names, list(test[0]["image"].size)]))
"""


def test_the_documented_command_uploads_what_load_dataset_reads(tmp_path: Path) -> None:
    told = re.search(r"^hf upload .+$", (ROOT / "docs" / "release.md").read_text("utf-8"), re.MULTILINE)
    assert told is not None
    with drawn_study(tmp_path) as study:
        build_release(study, "a-0", tmp_path / "releases/a-0")
    with hub() as served:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "HF_ENDPOINT": served.url, "HF_TOKEN": "hf_none", "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1",
        }  # fmt: skip

        def run(*command: str) -> str:
            done = subprocess.run(
                [sys.executable, *command], env=environment, cwd=tmp_path, capture_output=True, text=True,
                timeout=300, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        run("-m", "huggingface_hub.cli.hf", *told[0].split()[1:])
        release = tmp_path / "releases/a-0"
        files = {path.relative_to(release).as_posix(): path for path in release.rglob("*") if path.is_file()}
        assert {name: hashlib.sha256(data).digest() for name, data in served.files.items()} == {
            name: hashlib.sha256(path.read_bytes()).digest() for name, path in files.items()
        }
        assert json.loads(run("-c", LOADING, str(tmp_path / "cache")).splitlines()[-1]) == [
            ["test"], 7, ["apple", "pear"], [160, 120],
        ]  # fmt: skip
