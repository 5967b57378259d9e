"""Planning on a study: who lacks votes, what becomes a control, and that a second plan asks nobody twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from crowd_study import GOLDFISH, SMALL, TENCH, plan, similar
from typer.testing import CliRunner

from newtest.cli.annotate import app
from newtest.crowd.hits import PlanConfig
from newtest.crowd.planning import HitPlan, make_plan, read_pages, read_similar, store_plan, wordnet_similar
from newtest.errors import ConfigError
from newtest.study import Study
from newtest.votes import simulate_votes

SHAPE = PlanConfig(images=12, positive=2, negative=2, assignments=2, examples=2)


def made(study: Study, config: PlanConfig = SMALL, **more: int) -> HitPlan:
    return make_plan(study.catalog, config, similar, **more)


def test_candidates_are_asked_about_once_and_controls_are_references_that_people_agree_on(
    study: Study,
) -> None:
    hits = made(study).hits
    assert Counter(hit.wnid for hit in hits) == {GOLDFISH: 2, TENCH: 2}
    asked = Counter(image for hit in hits for image in hit.of("candidate"))
    candidates = {row[0] for row in study.catalog.execute("SELECT image_id FROM candidates")}
    assert asked == Counter(candidates)
    of_class = dict(study.catalog.execute("SELECT image_id, wnid FROM reference_members").fetchall())
    for hit in hits:
        assert {of_class[image] for image in hit.of("positive")} == {hit.wnid}
        assert {of_class[image] for image in hit.of("negative")} == set(similar(hit.wnid))


def test_references_people_do_not_agree_on_are_no_controls(study: Study) -> None:
    study.catalog.execute(
        "UPDATE vote_counts SET num_selected = 6 WHERE image_id IN"
        " (SELECT image_id FROM reference_members WHERE wnid = ? ORDER BY image_id LIMIT 9)",
        (GOLDFISH,),
    )
    hits = [hit for hit in made(study).hits if hit.wnid == GOLDFISH]
    doubtful = {
        r[0] for r in study.catalog.execute("SELECT image_id FROM vote_counts WHERE num_selected = 6")
    }
    assert len(doubtful) == 9
    assert not doubtful & {image for hit in hits for image in hit.of("positive")}


def test_references_without_votes_get_them_as_controls_first(study: Study) -> None:
    study.catalog.execute("DELETE FROM vote_counts")
    plan_ = made(study)
    assert all(len(hit.of("positive")) >= 2 for hit in plan_.hits)
    assert not plan_.warnings
    shown = Counter(
        image for hit in plan_.hits if hit.wnid == GOLDFISH for image in hit.of("candidate", "positive")
    )
    everything = study.catalog.execute(
        "SELECT image_id FROM candidates WHERE wnid = :w UNION SELECT image_id FROM reference_members WHERE wnid = :w",
        {"w": GOLDFISH},
    )
    assert set(shown) == {row[0] for row in everything}
    store_plan(study, plan_)
    assert made(study).hits == []


def test_a_second_plan_asks_only_for_what_is_missing(study: Study) -> None:
    assert plan(study) == 4
    assert plan(study) == 0
    assert made(study).hits == []
    more = made(study, votes=3)
    assert sum(len(hit.of("candidate")) for hit in more.hits) == 32
    study.catalog.execute(
        "INSERT INTO publications VALUES ((SELECT min(hit_id) FROM hits), 'local', 't', '{}', 'm', 'n', 'n', 'n')"
    )
    closed = study.catalog.execute("SELECT hit_id FROM publications").fetchone()[0]
    missing = study.catalog.execute(
        "SELECT count(*) FROM hit_images WHERE hit_id = ? AND role = 'candidate'", (closed,)
    ).fetchone()[0]
    assert sum(len(hit.of("candidate")) for hit in made(study).hits) == missing


def test_blocked_images_and_those_without_bytes_are_left_out(study: Study) -> None:
    first, second = (
        r[0] for r in study.catalog.execute("SELECT image_id FROM candidates ORDER BY image_id LIMIT 2")
    )
    study.catalog.execute("INSERT INTO blocks VALUES (1, ?, NULL, 1, 'x', 'ann', 'now')", (first,))
    study.catalog.execute("UPDATE files SET state = 'failed', sha256 = NULL WHERE image_id = ?", (second,))
    asked = {image for hit in made(study).hits for image, _ in hit.images}
    assert not asked & {first, second}


def test_examples_are_sure_and_are_asked_about_by_nobody(study: Study) -> None:
    planned = made(study, SHAPE)
    assert [len(images) for images in planned.examples.values()] == [2, 2]
    shown = {image for hit in planned.hits if hit.wnid == GOLDFISH for image, _ in hit.images}
    assert not shown & set(planned.examples[GOLDFISH])
    store_plan(study, planned)
    again = made(
        study, PlanConfig(images=12, positive=2, negative=2, assignments=2, examples=2, seed=9), votes=20
    )
    assert list(again.examples[GOLDFISH]) == list(planned.examples[GOLDFISH])
    assert not {i for h in again.hits if h.wnid == GOLDFISH for i, _ in h.images} & set(
        planned.examples[GOLDFISH]
    )


def test_a_limit_on_hits_says_what_is_left(study: Study) -> None:
    planned = made(study, max_hits=3)
    assert len(planned.hits) == 3
    assert planned.left == 8


def test_too_few_controls_are_warned_of(study: Study) -> None:
    study.catalog.execute("DELETE FROM reference_members")
    warnings = made(study).warnings
    assert any("positive controls" in warning for warning in warnings)
    assert any("fewer than 12 images" in warning for warning in warnings)


def test_tables_of_similar_classes_and_pages_are_read(tmp_path: Path, data: Path) -> None:
    near = read_similar(data / "imagenetv2/metadata/wnid_to_most_similar_wnids.json")
    assert near("n01440764")[0] == "n01443537"
    assert read_pages(data / "imagenetv2/metadata/wikipedia_pages.json")[GOLDFISH].endswith("/Goldfish")
    for text in ("[]", "no json"):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ConfigError):
            read_similar(tmp_path / "x.json")
    (tmp_path / "y.json").write_text(json.dumps({GOLDFISH: "https://x.org"}))
    assert read_pages(tmp_path / "y.json") == {GOLDFISH: "https://x.org"}


def test_classes_that_are_not_in_wordnet_have_no_near_ones(study: Study) -> None:
    assert wordnet_similar(study.catalog)("my-class") == []


def test_simulated_votes_are_no_reason_not_to_ask_people(study: Study) -> None:
    before = make_plan(study.catalog, SMALL, similar)
    simulate_votes(study)
    after = make_plan(study.catalog, SMALL, similar)
    assert [hit.hit_id for hit in after.hits] == [hit.hit_id for hit in before.hits]


def test_images_without_bytes_are_counted_as_lacking_votes(study: Study) -> None:
    images = [row[0] for row in study.catalog.execute("SELECT image_id FROM candidates ORDER BY 1 LIMIT 5")]
    for image in images:
        study.catalog.execute("UPDATE files SET state = 'failed', sha256 = NULL WHERE image_id = ?", (image,))
    plan = make_plan(study.catalog, SMALL, similar)
    assert plan.without_bytes == 5
    assert not {image for hit in plan.hits for image in hit.of("candidate")} & set(images)
    study.catalog.execute(
        "INSERT INTO vote_counts SELECT image_id, wnid, 1, 2, 'r' FROM candidates WHERE image_id = ?",
        images[:1],
    )
    assert make_plan(study.catalog, SMALL, similar).without_bytes == 4
    said = CliRunner().invoke(
        app, ["plan", "--study", str(study.root), "--dry-run", "--images", "12", "--assignments", "2"]
    )
    assert "4 of them have no bytes, so nobody can be shown them: newtest fetch gets them" in said.stderr
