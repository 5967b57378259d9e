from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import commands
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from newtest.clip.weights.curve import draw_alpha_curve

# The "model" is one weight; in distribution 0.7 is best, shifted 0.3.
SCORER = """
import json, struct, sys
file = open(sys.argv[1], "rb")  # read by the format's own words, which is quicker than to import its library
header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
assert header["w"]["dtype"] == "F64"
w = struct.unpack("<d", file.read(8))[0]
print("loading")
print('{"in_distribution": %.6f, "shifted": %.6f}' % (90 - 100 * (w - .7) ** 2, 80 - 100 * (w - .3) ** 2))
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return commands.newtest(*map(str, arguments))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, value in (("zs", 0.0), ("ft", 1.0)):
        save_file({"w": np.array([value])}, tmp_path / f"{name}.safetensors")
    (tmp_path / "scorer.py").write_text(SCORER)
    return tmp_path


def test_alpha_is_chosen_in_distribution_and_the_curve_is_drawn(shop: Path) -> None:
    command = f"{sys.executable} {shop / 'scorer.py'} {{checkpoint}}"
    arguments = [
        "merge",
        "wise",
        "--zeroshot",
        shop / "zs.safetensors",
        "--finetuned",
        shop / "ft.safetensors",
    ]
    arguments += ["--alphas", "0:1:0.1", "--out", shop / "wise", "--score-command", command, "--json"]
    ended = run(*arguments)
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["chosen"] == 0.7
    best_shifted = max(result["points"], key=lambda point: point["shifted"])
    assert best_shifted["alpha"] == 0.3  # what looking at the shifted data would have chosen
    assert (shop / "wise" / "alpha-curve.png").read_bytes().startswith(b"\x89PNG")
    # The second run finds everything done: the scorer is not asked again.
    (shop / "scorer.py").write_text("raise SystemExit('asked again')")
    assert json.loads(run(*arguments).stdout) == result


LINEAR = """
import sys
import numpy as np
from safetensors.numpy import load_file
w = load_file(sys.argv[1])["w"]
x = np.random.default_rng(0).normal(size=(40, 3))
np.savez(sys.argv[2], **{"in_distribution": x @ w, "in_distribution.labels": np.arange(40) % 4,
                         "shifted": -x @ w, "shifted.labels": np.arange(40) % 4})
"""


def test_with_logits_the_output_space_ensemble_is_compared(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for name in ("zs", "ft"):
        save_file({"w": random.normal(size=(3, 4))}, tmp_path / f"{name}.safetensors")
    (tmp_path / "scorer.py").write_text(LINEAR)
    command = f"{sys.executable} {tmp_path / 'scorer.py'} {{checkpoint}} {{logits}}"
    base = [
        "merge",
        "wise",
        "--zeroshot",
        tmp_path / "zs.safetensors",
        "--finetuned",
        tmp_path / "ft.safetensors",
    ]
    base += ["--out", tmp_path / "wise", "--score-command", command, "--json"]
    ended = run(*base, "--alphas", "0,0.3,1")
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert [(e["alpha"], e["set"]) for e in result["ensembles"]] == [
        (alpha, name) for alpha in (0, 0.3, 1) for name in ("in_distribution", "shifted")
    ]
    # Linear in its weights: Proposition 1 of WiSE-FT, through files and commands.
    assert all(e["agreement"] == 100 and e["weight_space"] == e["output_space"] for e in result["ensembles"])
    assert result["points"][1]["shifted"] == result["ensembles"][3]["weight_space"]
    ended = run(*base, "--alphas", "0.3,0.5")
    assert ended.returncode == 2 and "hold 0 and 1" in ended.stderr


def test_a_scorer_that_fails_is_named(shop: Path) -> None:
    base = ["merge", "wise", "--zeroshot", shop / "zs.safetensors", "--finetuned", shop / "ft.safetensors"]
    for command, complaint in (
        (f"{sys.executable} -c 'print(1)'", "must name {checkpoint}"),
        (f"{sys.executable} -c 'raise SystemExit(3)' {{checkpoint}}", "exit code 3"),
        (f"{sys.executable} -c 'print(\"good\")' {{checkpoint}}", "must end with a number"),
        ("no-such-program {checkpoint}", "cannot be started"),
    ):
        ended = run(*base, "--out", shop / "w", "--score-command", command)
        assert ended.returncode in (1, 2) and complaint in ended.stderr, ended.stderr
        assert "Traceback" not in ended.stderr


def test_uniform_and_greedy_from_the_command_line(shop: Path) -> None:
    ended = run(
        "merge", "uniform", shop / "zs.safetensors", shop / "ft.safetensors", "--out", shop / "u.safetensors"
    )
    assert ended.returncode == 0, ended.stderr
    assert load_file(shop / "u.safetensors")["w"][0] == 0.5
    command = f"{sys.executable} {shop / 'scorer.py'} {{checkpoint}}"
    ended = run(
        "merge", "greedy", shop / "zs.safetensors", shop / "ft.safetensors",
        "--score-command", command, "--out", shop / "g.safetensors", "--json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    # 1.0 scores 81 alone; with 0.0 the soup is .5 and scores 86: it stays.
    assert [(s["tried"], s["added"]) for s in json.loads(ended.stdout)["steps"]] == [
        ("ft.safetensors", True),
        ("zs.safetensors", True),
    ]
    assert run("merge", "uniform", shop / "zs.safetensors", "--out", shop / "u.pt").returncode == 1


def test_every_shifted_set_has_a_curve() -> None:
    points = [
        (alpha, {"in_distribution": 70 + alpha, **{f"set{at}": 50.0 + at - alpha for at in range(9)}})
        for alpha in (0.0, 0.5, 1.0)
    ]
    svg = draw_alpha_curve(points, 0.5).svg.decode()
    assert all(f"set{at}" in svg for at in range(9))
