"""A recipe: what a user asks of ``filter-pool``, turned into rules over the columns that the pool has."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newtest.engines import Engine, Resources
from newtest.errors import PoolError, UsageError
from newtest.pool.filtering.apply import FilterPlan
from newtest.pool.filtering.conditions import PythonFilter, condition, python_filter
from newtest.pool.filtering.filters import (
    Filter,
    LanguageIs,
    MaxAspect,
    MinChars,
    MinSize,
    MinWords,
    Rule,
    ScoreAbove,
    ScoreCut,
    basic,
    laion2b,
)
from newtest.pool.filtering.opted_out import OptedOut
from newtest.pool.filtering.pii import NoPii
from newtest.pool.filtering.pool_quantile import cut_of
from newtest.pool.filtering.select import select
from newtest.pool.storage.columns import Columns
from newtest.pool.storage.named_scores import named_columns
from newtest.pool.storage.opt_outs import remembered
from newtest.pool.storage.pool import Pool
from newtest.pool.storage.row_images import holds_images
from newtest.pool.storage.score_columns import ARCHES, ScoreSource, score_source
from newtest.pool.storage.subset import Subset
from newtest.progress import UNWATCHED, Progress, watched

__all__ = ["DEFAULT_FRACTION", "Recipe", "carried_out", "plan_of", "run"]

DEFAULT_FRACTION = 0.3
"""DataComp's best cut by CLIP score at every scale (table 3 of the paper)."""
SMALL = 4 << 20
"""Bytes of tables: some ten thousand captions."""


@dataclass(frozen=True)
class Recipe:
    """The chosen rules; None leaves a rule out."""

    clip_score: bool = False
    fraction: float | None = None
    min_score: float | None = None
    arch: str | None = None
    scores: tuple[str, ...] = ()
    basic: bool = False
    english: bool = False
    laion2b: bool = False
    text_synsets: Path | None = None
    image_near: str | None = None
    where: tuple[str, ...] = ()
    """Rules on any column, as ``newtest.pool.filtering.conditions.condition`` reads them."""
    functions: tuple[str | Callable[..., Any], ...] = ()
    """Functions of one's own, or ``FILE.py:NAME``."""
    vectors: str | None = None
    """Vectors that were made elsewhere, for ``image_near``."""
    min_words: int | None = None
    min_chars: int | None = None
    min_size: int | None = None
    max_aspect: float | None = None
    remove_urls: Path | None = None
    """URLs that opted out, one per line; the pool remembers them."""
    remove_uids: Path | None = None
    pii: bool = False
    """Leave out captions with personal data, under "or" too."""
    combine: str = "and"
    say_why: bool = False
    """Let the subset tell which rule dropped each row (``newtest.pool.filtering.which_rule``)."""
    dry_run: bool = False
    """Write nothing into the pool: no languages are kept, and what needs a new layer is refused."""

    def __post_init__(self) -> None:
        if self.fraction is not None and self.min_score is not None:
            raise UsageError("`fraction` and `min_score` exclude each other; give one")
        if (self.fraction is not None or self.min_score is not None) and not (self.clip_score or self.scores):
            raise UsageError(
                "`fraction` and `min_score` say how much `clip_score` or `scores` keeps; add one of them"
            )
        if self.combine not in ("and", "or"):
            raise UsageError(f"`combine` is 'and' or 'or', not {self.combine!r}")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise UsageError(f"a fraction is more than 0 and at most 1, not {self.fraction}")

    @property
    def name(self) -> str:
        """A short name for files and messages, made of the rules' names."""
        parts = [name for name in ("basic", "english", "laion2b") if getattr(self, name)]
        parts += ["no-pii"] if self.pii else []
        parts += ["opt-outs"] if self.remove_urls or self.remove_uids else []
        if self.clip_score:
            parts.append("-".join(["clip-score", *([self.arch] if self.arch else []), self._cut_name]))
        parts += [re.sub(r"[^A-Za-z0-9.]+", "-", score) for score in self.scores]
        parts += [re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-") for text in self.where]
        parts += [
            text.rpartition(":")[2] if isinstance(text, str) else text.__name__ for text in self.functions
        ]
        parts += ["text-synsets"] if self.text_synsets else []
        parts += ["image-near"] if self.image_near else []
        for option in ("min_words", "min_chars", "min_size", "max_aspect"):
            if getattr(self, option) is not None:
                parts.append(f"{option.replace('_', '-')}-{getattr(self, option):g}")
        return re.sub(r"[^A-Za-z0-9._+-]+", "-", f"-{self.combine}-".join(parts)) or "nothing"

    @property
    def _cut_name(self) -> str:
        return (
            f"min-{self.min_score:g}"
            if self.min_score is not None
            else f"{self.fraction or DEFAULT_FRACTION:g}"
        )


def run(
    pool: Pool, recipe: Recipe, engine: Engine, workers: int = 0, progress: Progress = UNWATCHED
) -> Subset:
    """Carry a recipe out; ``progress`` is told which scores and cuts are used. Raises PoolError, UsageError."""
    return carried_out(pool, plan_of(pool, recipe, engine, workers, progress), engine, workers, progress)


def carried_out(
    pool: Pool, plan: FilterPlan, engine: Engine, workers: int, progress: Progress = UNWATCHED
) -> Subset:
    """The plan's subset; rules that run Python or a model on each row get processes, others threads. Tables of a few
    megabytes may be done before a process has started. A large shard never waits for others to be done here first.
    """
    light = sum(shard.table.size for shard in pool.shards) < SMALL
    return select(pool, plan, engine, Resources(workers, kind=plan.kind, light=light), progress)


def plan_of(
    pool: Pool, recipe: Recipe, engine: Engine, workers: int, progress: Progress = UNWATCHED
) -> FilterPlan:
    """The rules of a recipe, with the cuts of fractions found; ``progress`` is shown each pass over the pool."""
    rules: list[Rule] = []
    layers: Columns = {}
    opt_outs = remembered(pool, recipe.remove_urls, recipe.remove_uids, write=not recipe.dry_run)
    if len(opt_outs):
        rules.append(Rule("opt-outs", (OptedOut(opt_outs),), always=True))
    if recipe.basic:
        rules.append(basic())
    if recipe.english:
        rules.append(Rule("english", (LanguageIs("fasttext"),)))
    if recipe.laion2b:
        if score_source(pool, "b32") is None:
            raise PoolError(
                f"{pool.place.url}: `laion2b` is a rule on B/32 scores, and the pool has no column {ARCHES['b32']}"
            )
        rules.append(laion2b(ARCHES["b32"]))
    if recipe.text_synsets is not None:
        from newtest.pool.filtering.text_synsets import text_based

        rules.append(text_based(recipe.text_synsets))
    if recipe.image_near is not None:
        from newtest.pool.dedup.joins import keeping_for
        from newtest.pool.filtering.near_target import image_near
        from newtest.pool.storage.row_ranges import starts_of

        if recipe.dry_run:
            raise UsageError("`image_near` keeps its clusters in the pool, and a dry run writes nothing")
        keeping = keeping_for(pool, starts_of(pool)[-1], "auto", progress, engine, workers)
        rule, columns = image_near(
            pool, recipe.image_near, recipe.arch, vectors=recipe.vectors, keeping=keeping
        )
        layers |= columns
        rules.append(rule)
    for text in recipe.where:
        asked = condition(text)
        rules.append(Rule(asked.said, (asked,)))
    for function in recipe.functions:
        own = (
            python_filter(function)
            if isinstance(function, str)
            else PythonFilter(function, function.__name__)
        )
        rules.append(Rule(own.name, (own,)))
    for name, filter_ in _simple(recipe):
        rules.append(Rule(name, (filter_,)))
    if recipe.pii:
        rules.append(Rule("pii", (NoPii(),), always=True))
    if recipe.clip_score:
        source = score_source(pool, recipe.arch)
        source = source or _computed(pool, recipe, engine, workers, progress)
        progress.say(f"scores: {source.said}")
        layers |= source.layers
        rules.append(
            Rule("clip-score", (_by_score(pool, recipe, source.column, layers, engine, workers, progress),))
        )
    for text in recipe.scores:
        if is_condition(text):
            asked = condition(text)
            rules.append(Rule(asked.said, (asked,)))
            continue
        column, fraction, least = parsed_score(text, recipe)
        layers |= named_columns(pool, [column])
        one = Recipe(scores=(column,), fraction=fraction, min_score=least)
        rules.append(Rule(column, (_by_score(pool, one, column, layers, engine, workers, progress),)))
    read = (name for rule in rules for each in rule.filters for name in each.columns if name not in layers)
    layers |= named_columns(pool, list(read))
    combine = "and" if recipe.combine == "and" else "or"
    return FilterPlan(
        tuple(rules),
        combine,  # type: ignore[arg-type]
        layers,
        keeps_rules=recipe.say_why,
        keeps_languages=not recipe.dry_run,
    )


def _computed(pool: Pool, recipe: Recipe, engine: Engine, workers: int, progress: Progress) -> ScoreSource:
    """Scores for a pool that has images and captions and no scores: embedded now, and kept for the next time."""
    from newtest.pool.embedding import EmbedConfig, embed, encoder_facts, require_images_embedded, score
    from newtest.pool.storage.passes import complete

    reason = _not_computable(pool, recipe)
    if reason is not None:
        raise PoolError(
            f"{pool.place.url}: there is no CLIP score (no column {' or '.join(ARCHES.values())}, no scores layer), "
            f"{reason}"
        )
    config = EmbedConfig(recipe.arch or "conse")
    encoder = encoder_facts(config)
    progress.say(
        f"no scores in the pool: embedding its images and captions with {encoder.name} (kept as a layer)"
    )
    outcomes = embed(pool, config, engine, Resources(workers, alone=True))
    sums = complete(watched(progress, "embedding", outcomes, len(pool.shards)), len(pool.shards))
    require_images_embedded(pool, encoder, sums)
    complete(score(pool, config, engine, workers), len(pool.shards))
    found = score_source(pool, encoder.name)
    if found is None:
        raise PoolError(f"{pool.place.url}: the scores that were just computed are gone; run again")
    return found


def _not_computable(pool: Pool, recipe: Recipe) -> str | None:
    """Why scores cannot be computed now, and what to do; None where they can."""
    if recipe.arch in ARCHES:
        return "and this name stands for one; give an encoder, as 'newtest embed-pool' takes it"
    if not all(holds_images(pool, shard) for shard in pool.shards):
        return "and there are no images to compute one of; 'newtest fetch-pool' downloads them"
    if not any(pool.tells(shard, "text") for shard in pool.shards):
        return "and no captions to compare its images with; there is nothing to score"
    return "and a dry run computes none; 'newtest embed-pool' does" if recipe.dry_run else None


def is_condition(text: str) -> bool:
    """Whether a score is given as a rule like those of ``where``, such as ``COLUMN<=0.5``."""
    return re.search(r"<|!=|[^<>!]=(?!=)", text.replace(">=", "")) is not None


def parsed_score(text: str, recipe: Recipe) -> tuple[str, float | None, float | None]:
    """Column, fraction, threshold of ``COLUMN``, ``COLUMN:0.3`` or ``COLUMN>=5``. Raises UsageError."""
    match = re.fullmatch(r"(?P<column>[^:>=]+)(?:(?P<kind>:|>=)(?P<number>[-+.\deE]+))?", text)
    try:
        if match is None:
            raise ValueError
        if match["kind"] is None:
            return match["column"].strip(), recipe.fraction, recipe.min_score
        number = float(match["number"])
    except ValueError:
        raise UsageError(f"`score` {text!r} is not COLUMN, COLUMN:FRACTION or COLUMN>=NUMBER") from None
    return (match["column"], number, None) if match["kind"] == ":" else (match["column"], None, number)


def _by_score(
    pool: Pool,
    recipe: Recipe,
    column: str,
    layers: Columns,
    engine: Engine,
    workers: int,
    progress: Progress,
) -> ScoreAbove | ScoreCut:
    if recipe.min_score is not None:
        return ScoreAbove(column, recipe.min_score)
    fraction = DEFAULT_FRACTION if recipe.fraction is None else recipe.fraction
    cut = cut_of(pool, column, fraction, layers, engine, workers, progress)
    progress.say(
        f"{column}: the best {fraction:g} of {cut.rows:,} rows are {cut.wanted:,}, cut at "
        f"{cut.score:.6g}; {cut.without_score:,} rows have no score"
    )
    return ScoreCut(column, fraction, cut)


def _simple(recipe: Recipe) -> list[tuple[str, Filter]]:
    result: list[tuple[str, Filter]] = []
    if recipe.min_words is not None:
        result.append(("min-words", MinWords(recipe.min_words)))
    if recipe.min_chars is not None:
        result.append(("min-chars", MinChars(recipe.min_chars)))
    if recipe.min_size is not None:
        result.append(("min-size", MinSize(recipe.min_size)))
    if recipe.max_aspect is not None:
        result.append(("max-aspect", MaxAspect(recipe.max_aspect)))
    return result
