"""The demo as a recipe: a test set of handwritten digits replicated from end to end, the way ImageNetV2 was made.

Run: newtest demo, or python pipelines/digits_demo.py OUT
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from newtest.classes import read_classes
from newtest.collecting import CollectConfig, collect
from newtest.demo import digits, pages, scoring
from newtest.demo.classifiers import train_classifiers
from newtest.duplicates import ScanConfig, judge_automatically, scan
from newtest.fetching import fetch_missing
from newtest.reference import add_reference, members_of_folder
from newtest.releasing import build_release
from newtest.sampling import SamplingConfig, sample_study
from newtest.sources import open_source
from newtest.study import Study
from newtest.votes import Simulation, simulate_votes

STRATEGIES = {
    "matched-frequency": SamplingConfig("matched-frequency", per_class=20, fill_upward=True),
    "matched-corrected": SamplingConfig("matched-frequency", per_class=20, bias_correction="mixture"),
    "threshold-0.7": SamplingConfig("threshold", per_class=20, threshold=0.7),
    "top-images": SamplingConfig("top-images", per_class=20),
}


def main(out: Path, *, seed: int = 0, say: Callable[[str], None] = print) -> Path:
    """Replicate the digits' test set under ``out``; gives the path of the report. Run again, it goes on."""
    say(
        "scans: deal 1,797 real scans into training, an original test set, and a pool as a search would return it"
    )
    scans = digits.load()
    heaps = digits.deal(scans, seed=seed)
    digits.write_class_folders(scans, heaps.original, out / "original")
    digits.write_class_folders(scans, heaps.pool, out / "pool")
    digits.write_classes(out / "classes.toml")

    with Study(out / "study", create=True) as study:
        say("collect: candidates for ten classes, and the original as the reference")
        classes = list(read_classes(out / "classes.toml").values())
        collect(study, open_source(f"folder:{out / 'pool'}", say), classes, CollectConfig(max_images=200))
        add_reference(study, "digits", members_of_folder(out / "original"), "scikit-learn's digits")
        fetch_missing(study)

        say("vote: ten SIMULATED annotators an image, who err more on ambiguous scans")
        difficulty = digits.difficulty(scans, heaps)
        difficulty.to_csv(out / "difficulty.csv", index=False)
        simulate_votes(study, Simulation(seed=seed), difficulty)

        say("dedup: identical bytes and perceptual hashes, inside the pool and against the original")
        scan(study, ScanConfig(radius=2))
        judge_automatically(study, radius=2)

        for name, config in STRATEGIES.items():
            sample = sample_study(study, config, name=name)
            say(
                f"sample: {name}: {len(sample.members)} images; {len(sample.exclusions)} candidates were excluded"
            )
            if not (folder := out / "releases" / name).exists():
                build_release(study, name, folder)

        say("evaluate: sixteen classifiers, trained once, on the original and on each new set")
        classifiers = train_classifiers(scans.pixels[heaps.train], scans.digit[heaps.train], seed=seed)
        sets = {"original": out / "original", **{name: out / "releases" / name for name in STRATEGIES}}
        results = scoring.score(classifiers, sets)
        return pages.write_report(study, sets, results, out)


if __name__ == "__main__":
    print(main(Path(sys.argv[1] if len(sys.argv) > 1 else "newtest-demo")))
