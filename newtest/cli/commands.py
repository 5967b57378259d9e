"""The list of commands, in the order of the work. To add one, write it in its stage's module and name it here.

Only the module of the command that was typed is imported: all of them, with their options, take longer to read in than
a small command takes to run.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer

__all__ = ["COMMANDS", "attach"]

COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("demo", "demo.demo", "Replicate a test set of digits in a minute."),
    ("doctor", "doctor.doctor", "Show what is installed and what is missing."),
    # A test set, from keywords to a figure
    ("classes", "collect.classes", "Show what a wnid means and what would be searched."),
    ("collect", "collect.collect", "Find candidates for classes, and download them."),
    ("fetch", "fetch.fetch", "Download the images that have no bytes yet."),
    ("reference", "reference.app", "Register the original test set."),
    ("annotate", "annotate.app", "Ask people: plan HITs, serve, publish, collect, pay."),
    ("votes", "votes.app", "Import votes, simulate them, judge workers."),
    ("frequencies", "votes.frequencies", "Compute selection frequencies with 95 % intervals."),
    ("dedup", "dedup.dedup", "Find near-duplicates in the pool and of the original."),
    ("sample", "sample.sample", "Draw a revision: a test set, by votes and a strategy."),
    ("diff", "sample.diff", "Show what changed from one revision to another."),
    ("diagnose", "diagnose.diagnose", "Test a revision against the original's frequencies."),
    ("review", "review.review", "Look over classes and close pairs in the browser."),
    ("check", "check.check", "Look for defects in a set, ours or anybody's."),
    ("release", "release.release", "Write a revision as a dataset, with manifest and card."),
    ("takedown", "takedown.takedown", "Remove an image for good, and record why."),
    ("evaluate", "evaluate.evaluate", "Score predictions or run a model on a set."),
    ("report", "report.app", "Make tables, the line, the gap, comparisons, the page."),
    ("corrupt", "corrupt.corrupt", "Make harder copies of a set: ImageNet-C's corruptions."),
    ("status", "status.status", "Show what is done, missing, failed and spent."),
    # An image-text pool
    ("import-pool", "import_pool.import_pool", "Make a pool of captioned images, or of bare tars."),
    ("fetch-pool", "fetch_pool.fetch_pool", "Download a table of URLs and captions into shards."),
    ("pool-status", "pool_status.pool_status", "Show what a pool holds, and which layers are complete."),
    ("embed-pool", "embed_pool.embed_pool", "Embed images and captions; keep their CLIP scores."),
    ("score-pool", "score_pool.score_pool", "Score rows by their vectors, or by your own function."),
    ("filter-pool", "filter_pool.filter_pool", "Choose rows by DataComp's rules: a subset."),
    ("dedup-pool", "dedup_pool.dedup_pool", "Keep one of each group of duplicates."),
    (
        "decontaminate-pool",
        "decontaminate_pool.decontaminate_pool",
        "Leave out what is close to a test set's images.",
    ),
    ("prune-pool", "prune_pool.prune_pool", "Keep more of varied clusters, less of uniform ones."),
    ("balance-pool", "balance_pool.balance_pool", "Cap how many samples each query may bring."),
    ("caption-pool", "caption_pool.caption_pool", "Join a labelled set with the text of its photos."),
    ("search-pool", "search_pool.search_pool", "Find candidates of classes by their captions."),
    ("audit-pool", "audit_pool.audit_pool", "Draw a sample for people to look over; bound a share."),
    ("reshard-pool", "reshard_pool.reshard_pool", "Write a subset's samples as new shards."),
    # CLIP as a measuring instrument
    ("zeroshot", "zeroshot.zeroshot", "Classify by class names alone; find images for a text."),
    ("probe", "probe.probe", "Fit logistic regression on embeddings."),
    ("merge", "merge.app", "Merge checkpoints: WiSE-FT, uniform and greedy soups."),
)
"""Name, module and function (or group) below ``newtest.cli``, and a line of at most 56 characters for ``--help``."""


def attach(app: typer.Typer, only: str | None = None) -> None:
    """Hang every command on the application, or the one of this name. Their modules import only typer at the top."""
    for name, place, line in COMMANDS:
        if only not in (None, name):
            continue
        command = _at(place)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, short_help=line)
        else:
            app.command(name, short_help=line)(command)


def _at(place: str) -> Any:
    module, name = place.split(".")
    return getattr(import_module(f"newtest.cli.{module}"), name)
