"""A pipe in the place of a file: every command says so, and none waits for somebody who writes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from commands import invoke
from PIL import Image

from newtest.cli.app import main
from newtest.study import Study

FILES = (
    "check PIPE",
    "check PIPE.tar",
    "check PIPE.parquet",
    "check set --blocked PIPE",
    "check set --reference PIPE",
    "classes --wnids-file PIPE",
    "classes --classes PIPE",
    "collect --study study --classes PIPE --source folder:set",
    "collect --study study --classes classes.toml --source table:PIPE.csv",
    "reference add old --study study --table PIPE.csv",
    "votes import PIPE.jsonl --study study",
    "votes import PIPE.csv --study study",
    "votes import PIPE --study study --hits PIPE",
    "annotate plan --study study --pages PIPE --similar PIPE",
    "annotate prolific pay st1 PIPE.csv --study study --reward 1 --max-cost 1",
    "evaluate PIPE.npz --predictions p.csv",
    "evaluate set --predictions PIPE.npz",
    "evaluate set --predictions p.csv --classes PIPE",
    "evaluate set --predictions p.csv --class-map PIPE",
    "evaluate set --predictions p.csv --labels PIPE",
    "evaluate set --predictions p.csv --groups PIPE",
    "corrupt PIPE --out o",
    "import-pool PIPE.tar --out o",
    "import-pool PIPE.parquet --out o",
    "import-pool PIPE --out o",
    "fetch-pool PIPE.parquet --out o",
    "pool-status PIPE",
    "filter-pool PIPE --min-words 1 --out o.npy",
    "filter-pool pool --remove-urls PIPE --out o.npy",
    "filter-pool pool --remove-uids PIPE --out o.npy",
    "dedup-pool PIPE --out o.npy",
    "decontaminate-pool pool --against PIPE --method hash --out o.npy",
    "balance-pool pool --queries PIPE --out o.npy",
    "caption-pool PIPE.csv PIPE.jsonl --out o",
    "search-pool pool --classes PIPE --out o.csv",
    "reshard-pool pool --subset PIPE.npy --out o",
    "zeroshot PIPE.npy --image-embeddings a.npy --text-embeddings a.npy --model given",
    "zeroshot l.npy --image-embeddings PIPE.npy --text-embeddings a.npy --model given",
    "zeroshot l.npy --image-embeddings a.npy --text-embeddings PIPE.npz --model given",
    "probe --train PIPE.npz --test PIPE.npz",
    "merge uniform PIPE.safetensors PIPE.safetensors --out s.npz",
    "merge wise --zeroshot PIPE.pt --finetuned PIPE.pt --out w",
    "merge greedy PIPE.npz PIPE.npz --scores PIPE.json --score-command {checkpoint} --out s.npz",
    "report table PIPE.parquet --original old",
    "report table r.csv --original old --groups PIPE",
    "report line PIPE.json --x old --y new",
    "report gap PIPE --original old --new new",
    "report compare PIPE.csv --set s",
    "report similarity PIPE --set s",
    "report shift PIPE.npz PIPE.npy",
    "report atlas PIPE --x old --out a.html",
    "report forecast set --predictions PIPE.csv --unlabelled PIPE.csv",
    "report html PIPE --original old --out page",
)


@contextmanager
def nobody_reads(pipe: Path) -> Iterator[list[bool]]:
    """Notes whether somebody opens the pipe, and lets him go: opening it to write succeeds while it is open to read."""
    ended, seen = threading.Event(), [False]

    def look() -> None:
        while not ended.wait(0.01):
            try:
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                seen[0] = True
            except OSError:
                pass

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("pipes")
    Study(at / "study", create=True).close()
    for name in ("a", "b"):
        (at / "set" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (ord(name), 0, 0)).save(at / "set" / name / f"{name}.png")
        (at / "captioned").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (ord(name), 0, 0)).save(at / "captioned" / f"{name}.png")
        (at / "captioned" / f"{name}.txt").write_text("a word")
    (at / "classes.toml").write_text('[a]\nlemmas = ["a"]\ngloss = "x"\n')
    (at / "p.csv").write_text("image,prediction\na,a\nb,b\n")
    (at / "r.csv").write_text("model,set,k,n\nm,old,1,2\nm,new,1,2\n")
    np.save(at / "l.npy", np.arange(2))
    np.save(at / "a.npy", np.eye(2, dtype=np.float32))
    result = invoke(["import-pool", str(at / "captioned"), "--out", str(at / "pool")])
    assert result.exit_code == 0, result.output
    for name in {
        word for words in FILES for word in words.replace(":", " ").split() if word.startswith("PIPE")
    }:
        os.mkfifo(at / name)
    return at


@pytest.mark.parametrize("words", FILES)
def test_a_pipe_is_named_and_not_waited_for(
    words: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    monkeypatch.setenv("PROLIFIC_TOKEN", "secret")
    pipe = next(word for word in words.replace(":", " ").split() if word.startswith("PIPE"))
    monkeypatch.setattr("sys.argv", ["newtest", *words.split()])
    with nobody_reads(here / pipe) as seen, pytest.raises(SystemExit) as ended:
        main()
    assert not seen[0]
    assert ended.value.code in (1, 2)
    assert pipe in capsys.readouterr().err
