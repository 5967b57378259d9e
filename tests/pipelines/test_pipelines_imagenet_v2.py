"""The published recipe on recorded search results and real photos; then the rest of the loop, to a second revision."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from servers.images import ImageServer, serving

from newtest.catalog import revisions
from newtest.download import DownloadConfig
from newtest.duplicates import flags
from newtest.fetching import FetchConfig
from newtest.records import Query
from newtest.releasing import build_release
from newtest.releasing.check import check_set
from newtest.releasing.evidence import study_evidence
from newtest.releasing.sets import read_release
from newtest.review.actions import block, finish_class
from newtest.review.pending import revision_progress
from newtest.sampling import SamplingConfig, sample_study
from newtest.sampling.diff import diff_revisions
from newtest.sampling.revision import Origin
from newtest.study import Study
from newtest.votes import Simulation

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "pipelines"))
from imagenet_v2 import SETS, Recipe, replicate

GOLDFISH = "n01443537"
pytestmark = pytest.mark.xdist_group("imagenet_v2")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[Recipe]:
    """133 recorded goldfish, whose addresses lead to shared photos: two of them to originals, two to one photo."""
    root = tmp_path_factory.mktemp("imagenet_v2")
    photos = sorted((data / "images").glob("*.JPEG"))
    original = root / "original" / GOLDFISH
    original.mkdir(parents=True)
    for photo in photos[150:190]:
        shutil.copy(photo, original)
    results = next((data / "imagenetv2" / "search_results").glob("2018-07-31*"))
    entries = [entry for entry in json.loads(results.read_text()) if entry["wnid"] == GOLDFISH]
    place = {entry["id_ours"]: number for number, entry in enumerate(entries)}
    content = [photo.read_bytes() for photo in (*photos[:130], photos[150], photos[151], photos[0])]
    with serving(ImageServer(content)) as server:
        for entry in entries:
            entry["url"] = server.url(f"photo/{place[entry['id_ours']]}.jpg")
        (root / "recorded.json").write_text(json.dumps(entries))
        fetch = FetchConfig(download=DownloadConfig(allow_private=True))
        source = f"recorded:{root / 'recorded.json'}"
        yield Recipe(root / "study", root / "original", [GOLDFISH], source, Query("", ""), fetch)


def test_nothing_is_sampled_before_people_voted(recipe: Recipe, tmp_path: Path) -> None:
    said: list[str] = []
    assert replicate(replace(recipe, study=tmp_path / "study"), said.append) == []
    assert "Nobody has voted yet" in said[-1]


def test_the_recipe_and_the_whole_loop(recipe: Recipe) -> None:
    recipe = replace(recipe, simulate=Simulation(seed=1))
    said: list[str] = []
    releases = replicate(recipe, said.append)
    assert [release.name for release in releases] == list(SETS)
    before = [(release / "SHA256SUMS").read_bytes() for release in releases]
    assert replicate(recipe, said.append) == releases  # run again: nothing is drawn or written twice
    assert [(release / "SHA256SUMS").read_bytes() for release in releases] == before

    with Study(recipe.study) as study:
        marks = flags(study).set_index("image_id")
        assert (
            len(marks) == 133 and marks["near_duplicate"].sum() == 3
        )  # two of the original, one of two alike
        for name in SETS:
            members = revisions.members_of(study.catalog, name)
            assert len(members) == 10
            assert not marks.loc[members["image_id"], ["near_duplicate", "unreviewed"]].any(axis=None)

        first = sample_study(study, SamplingConfig(fill_upward=True), name="a-0")
        finish_class(study, "a-0", GOLDFISH, reviewer="ana")
        out = sorted(first.members["image_id"])[:3]
        block(study, GOLDFISH, out, blocked=True, reason="not a photograph", reviewer="ana")
        second = sample_study(
            study, SamplingConfig(fill_upward=True), name="a-1", origin=Origin(parent="a-0")
        )
        kept = set(first.members["image_id"]) & set(second.members["image_id"])
        assert kept == set(first.members["image_id"]) - set(out) and len(second.members) == 10
        changes = diff_revisions(study, "a-0", "a-1")
        removed = changes.changes.query("change == 'removed'")
        assert sorted(removed["image_id"]) == out and set(removed["reason"]) == {"blocked"}
        assert [one.reviewer for one in revision_progress(study, "a-0")] == ["ana"]
        assert [one.reviewer for one in revision_progress(study, "a-1")] == [None]  # its members changed

        release = build_release(study, "a-1")
        findings = check_set(read_release(release.path), study_evidence(study))
        assert not [finding for finding in findings if finding.severity == "error"]
        manifest = pd.read_csv(release.path / "manifest.csv")
        assert sorted(manifest["image_id"]) == sorted(second.members["image_id"])
