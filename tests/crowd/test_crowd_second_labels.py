"""Second labels: proposed for the images of a set, asked about in the usual HITs, released with their votes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from crowd_study import GOLDFISH, SMALL, TENCH, similar
from typer.testing import CliRunner

from newtest.api.second_labels import ProposalSources, propose_second_labels, second_labels
from newtest.catalog.revisions import Revision, store
from newtest.cli.annotate import app
from newtest.crowd.planning import make_plan, store_plan
from newtest.crowd.second_labels import SecondLabelRule
from newtest.errors import ConfigError, EvaluationError, UsageError, VotesError
from newtest.evaluation.scoring.evaluate import EvaluateConfig, evaluate
from newtest.evaluation.scoring.proposals import ProposalConfig, from_predictions
from newtest.evaluation.scoring.sets import find_set, read_set
from newtest.releasing import build_release
from newtest.study import Study
from newtest.votes import frequencies, import_votes

Images = list[str]


@pytest.fixture
def drawn(study: Study) -> Images:
    """Revision ``new``: the first eight candidates of each class. Gives its goldfish, by id."""
    rows = study.catalog.execute("SELECT image_id, wnid FROM candidates ORDER BY wnid, image_id").fetchall()
    members = [
        (image, wnid, 8, 10)
        for wnid in (TENCH, GOLDFISH)
        for image in [row[0] for row in rows if row[1] == wnid][:8]
    ]
    revision = Revision(
        *("new", json.dumps({"strategy": "matched-frequency", "seed": 1}), "val", None),
        *("v" * 64, "p" * 64, "m" * 64, False, False, "{}", "2026-01-02T03:04:05Z"),
    )
    store(study.catalog, revision, members, [])
    return [image for image, wnid, _, _ in members if wnid == GOLDFISH]


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    pd.DataFrame(rows, columns=["image_id", "class"]).to_csv(path, index=False)
    return path


def vote(study: Study, path: Path, images: list[str], wnid: str, selected: int, people: int = 6) -> None:
    rows = [(image, wnid, f"w{n}", int(n < selected)) for image in images for n in range(people)]
    pd.DataFrame(rows, columns=["image_id", "wnid", "worker_id", "selected"]).to_csv(path, index=False)
    import_votes(study, path)


def test_proposals_of_a_table_come_into_the_usual_hits(study: Study, drawn: Images, tmp_path: Path) -> None:
    before = {hit.hit_id for hit in make_plan(study.catalog, SMALL, similar).hits}
    rows = [
        (drawn[0], TENCH),
        (drawn[1], TENCH),
        (drawn[1], GOLDFISH),
        (drawn[2], "n00000001"),
        ("nobody", TENCH),
    ]
    sources = ProposalSources(table=table(tmp_path / "t.csv", rows))
    stored, said = propose_second_labels(study, ["new"], sources)
    assert (stored.proposed, stored.new, stored.unknown_classes, stored.first_unknown) == (
        3,
        2,
        1,
        "n00000001",
    )
    assert said == [f"{tmp_path / 't.csv'}: 1 ids are not images of new, first 'nobody'"]
    hits = make_plan(study.catalog, SMALL, similar).hits
    asked = [hit for hit in hits if set(drawn[:2]) & set(hit.of("candidate")) and hit.wnid == TENCH]
    assert {image for hit in asked for image in hit.of("candidate")} >= set(drawn[:2])
    for hit in hits:  # what may show a class is not a negative control of it
        assert hit.wnid != TENCH or not set(drawn[:2]) & set(hit.of("negative"))
    assert {hit.hit_id for hit in hits if hit.wnid == GOLDFISH} <= before, (
        "the other class's HITs are as they were"
    )
    assert store_plan(study, make_plan(study.catalog, SMALL, similar)) > 0
    assert make_plan(study.catalog, SMALL, similar).hits == [], "they are underway"
    assert propose_second_labels(study, ["new"], sources)[0].new == 0


def test_votes_on_them_make_labels_and_no_frequencies_of_candidates(
    study: Study, drawn: Images, tmp_path: Path
) -> None:
    with pytest.raises(VotesError):
        vote(study, tmp_path / "early.csv", drawn[:1], TENCH, 6)
    rows = [(image, TENCH) for image in drawn[:4]]
    propose_second_labels(study, ["new"], ProposalSources(table=table(tmp_path / "t.csv", rows)))
    vote(study, tmp_path / "yes.csv", drawn[:1], TENCH, 5)
    vote(study, tmp_path / "no.csv", drawn[1:2], TENCH, 2)
    vote(study, tmp_path / "few.csv", drawn[2:3], TENCH, 3, people=3)
    found = second_labels(study).set_index("image_id").loc[drawn[:4]]
    assert found["num_selected"].tolist() == [5, 2, 3, 0]
    assert found["num_shown"].tolist() == [6, 6, 3, 0]
    assert found["accepted"].tolist() == [True, False, False, False]
    assert second_labels(study, SecondLabelRule(0.3, 3))["accepted"].sum() == 3
    assert np.isnan(found["lo"].iloc[3])
    with pytest.raises(ConfigError, match="a share of people"):
        SecondLabelRule(0)
    lacking = {
        i for hit in make_plan(study.catalog, SMALL, similar, votes=6).hits for i in hit.of("candidate")
    }
    assert drawn[2] in lacking
    told = frequencies(study).set_index(["image_id", "wnid"])["second_label"]
    assert told[told].index.tolist() == sorted((image, TENCH) for image in drawn[:3])
    assert study.catalog.execute("SELECT count(*) FROM candidates").fetchone()[0] == 32


def test_release_and_evaluation_hold_them(study: Study, drawn: Images, tmp_path: Path) -> None:
    build_release(study, "new", tmp_path / "before")
    assert not (tmp_path / "before" / "second_labels.csv").exists()
    assert "second_labels" not in pq.read_schema(tmp_path / "before" / "manifest.parquet").names
    rows = [(image, TENCH) for image in drawn[:4]]
    propose_second_labels(study, ["new"], ProposalSources(table=table(tmp_path / "t.csv", rows)))
    vote(study, tmp_path / "yes.csv", drawn[:2], TENCH, 5)
    vote(study, tmp_path / "no.csv", drawn[2:3], TENCH, 1)
    release = build_release(study, "new", tmp_path / "after").path
    manifest = pd.read_parquet(release / "manifest.parquet").set_index("image_id")
    assert [list(cell) for cell in manifest.loc[drawn[:4], "second_labels"]] == [[TENCH], [TENCH], [], []]
    assert manifest.loc[drawn[:4], "second_labels_open"].tolist() == [0, 0, 0, 1]
    kept = pd.read_csv(release / "second_labels.csv").set_index("image_id")
    assert kept.loc[drawn[:4], "accepted"].tolist() == [1, 1, 0, 0]
    card = (release / "README.md").read_text()
    assert "2 images show further classes (`second_labels`), of 4 pairs" in card
    sets = [read_set(release), find_set("new", study.root)]
    (release / "manifest.parquet").chmod(0o644)
    (release / "manifest.parquet").unlink()
    sets.append(read_set(release))
    for one in sets:
        several = one.images.loc[one.counts == 2, "image_id"]
        assert sorted(several) == sorted(drawn[:2])
    assert sets[0].hash == sets[1].hash == sets[2].hash
    np.save(tmp_path / "tench.npy", np.zeros(16, dtype=int))
    found = evaluate("new", EvaluateConfig((tmp_path / "tench.npy",), study=study.root, out=tmp_path / "r"))
    (row,) = found.scores
    assert (row.k, row.given_k, row.single_k, row.single_n) == (10, 8, 8, 14)
    assert "1 images have proposed second labels without enough votes" in str(found.cautions[0])


def test_proposals_of_models_are_the_classes_that_most_name(study: Study, tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e"]
    frame = pd.DataFrame({"image_id": ["x", "y"], "class": ["a", "b"]})
    frame.to_csv(tmp_path / "s.csv", index=False)
    (tmp_path / "classes.txt").write_text("\n".join(names))
    scores = {
        "m1": [[9, 8, 7, 1, 0], [9, 8, 0, 7, 1]],  # a b c | a b d
        "m2": [[7, 9, 0, 8, 1], [0, 9, 8, 7, 1]],  # b d a | b c d
        "m3": [[9, 8, 0, 7, 1], [1, 0, 9, 8, 7]],  # a b d | c d e
    }
    files = []
    for model, values in scores.items():
        np.save(tmp_path / f"{model}.npy", np.array(values) / 10)
        files.append(tmp_path / f"{model}.npy")
    evaluated = read_set(tmp_path / "s.csv")
    config = ProposalConfig(top=3, least=2, most=2)
    found = from_predictions(evaluated, files, config, classes=tmp_path / "classes.txt")
    assert found.proposals[["image_id", "wnid"]].to_numpy().tolist() == [
        ["x", "b"], ["x", "d"], ["y", "d"], ["y", "c"],
    ]  # fmt: skip
    one = from_predictions(evaluated, files[:1], config, classes=tmp_path / "classes.txt")
    assert len(one.proposals) == 4, "of one model, one is enough"
    with pytest.raises(EvaluationError, match="at least 1"):
        ProposalConfig(top=0)


def test_near_classes_and_several_sets(study: Study, drawn: Images, tmp_path: Path) -> None:
    stored, _ = propose_second_labels(study, ["new", "val"], ProposalSources(near=3))
    assert stored.proposed == stored.new == 16 + 24
    np.save(tmp_path / "m.npy", np.zeros(16, dtype=int))
    ids = [row[0] for row in study.catalog.execute("SELECT image_id FROM reference_members")]
    pd.DataFrame({"image_id": ids, "m": [0] * len(ids)}).to_csv(tmp_path / "val.csv", index=False)
    both = ProposalSources(predictions=(tmp_path / "m.npy", tmp_path / "val.csv"))
    stored, said = propose_second_labels(study, ["new", "val"], both)
    assert (stored.proposed, stored.new, said) == (8 + 12, 0, [])
    np.save(tmp_path / "odd.npy", np.zeros(5, dtype=int))
    with pytest.raises(EvaluationError, match=r"odd.npy fits none of new, val"):
        propose_second_labels(study, ["new", "val"], ProposalSources(predictions=(tmp_path / "odd.npy",)))
    with pytest.raises(UsageError, match="nothing to propose from"):
        propose_second_labels(study, ["new"], ProposalSources())


def test_on_the_command_line(study: Study, drawn: Images) -> None:
    run = CliRunner().invoke
    root = str(study.root)
    done = run(
        app,
        ["plan", "--study", root, "--second-labels", "new", "--near", "1", "--assignments", "2", "--json"],
    )
    assert done.exit_code == 0, done.output
    assert "16 pairs of image and class proposed, 16 of them new" in done.stderr
    asked = study.catalog.execute(
        "SELECT count(*) FROM hit_images JOIN hits USING (hit_id) JOIN second_labels USING (image_id, wnid)"
        " WHERE role = 'candidate'"
    ).fetchone()[0]
    assert asked == 16
    none = study.root / "none.json"
    none.write_text("{}")
    found = run(
        app, ["plan", "--study", root, "--second-labels", "new", "--near", "1", "--similar", str(none)]
    )
    assert "no near class was found" in found.stderr
    again = run(app, ["plan", "--study", root, "--assignments", "2"])
    assert "no HIT is new" in again.stderr and "--votes asks for more" in again.stderr
    pairs = run(app, ["plan", "--study", root, "--ask", "pairs"])
    assert "newtest dedup finds pairs" in pairs.stderr
    for more in (
        ["--near", "1"],
        ["--second-labels", "new", "--near", "1", "--dry-run"],
        ["--second-labels", "new"],
    ):
        failed = run(app, ["plan", "--study", root, *more])
        assert failed.exit_code != 0, more
