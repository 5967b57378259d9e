"""A page that shows what a filter did: histograms with their cuts, counts and overlaps, examples kept and dropped.

One folder with ``index.html``, its pictures, and ``examples.json``; it loads nothing from elsewhere, and captions are
strangers' text, escaped. Examples are drawn by hash of seed and uid, so the same pool gives the same page.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from newtest.errors import ImageError
from newtest.images import thumbnail
from newtest.lettering import families, quiet, shown
from newtest.outputs import write_made
from newtest.pool.filtering.apply import FilterPlan, ShardCounts, judged
from newtest.pool.filtering.filters import Rule, ScoreAbove, ScoreCut
from newtest.pool.filtering.select import manifest, settled
from newtest.pool.storage.columns import numbers
from newtest.pool.storage.location import LocalPlace
from newtest.pool.storage.pool import Pool, Shard
from newtest.pool.storage.row_images import holds_images, paired
from newtest.progress import UNWATCHED, Progress, watched
from newtest.templates import environment

__all__ = ["write_report"]

EXAMPLES = 12
BINS = 60
THUMBNAIL = 160


@dataclass(frozen=True, order=True)
class Example:
    """A row that is shown, ordered by its draw."""

    draw: int
    uid: str
    text: str = field(compare=False, default="")
    shard: Shard | None = field(compare=False, default=None)
    row: int = field(compare=False, default=0)


class Drawn:
    """The few examples with the lowest draws of all that were offered."""

    def __init__(self) -> None:
        self.heap: list[tuple[int, str, Example]] = []

    def offer(self, example: Example) -> None:
        entry = (-example.draw, example.uid, example)
        if len(self.heap) < EXAMPLES:
            heapq.heappush(self.heap, entry)
        elif entry[:2] > self.heap[0][:2]:
            heapq.heapreplace(self.heap, entry)

    def examples(self) -> list[Example]:
        return sorted(entry[2] for entry in self.heap)


def write_report(
    pool: Pool, plan: FilterPlan, folder: Path, *, seed: int = 0, progress: Progress = UNWATCHED
) -> Path:
    """Judge every row by every rule, write the page, and return its path. Raises PoolError."""
    plan = replace(plan, exhaustive=True)
    counts, drawn, scores = ShardCounts(), _drawn(plan), _Histograms(plan)
    for shard in watched(progress, "reporting", iter(pool.shards), len(pool.shards)):
        _look(pool, plan, shard, counts, drawn, scores, seed)
    settled(pool, plan, counts)
    pictures = _pictures(pool, [example for each in drawn.values() for example in each.examples()], folder)
    shown = {
        title: [{"uid": e.uid, "text": e.text, "picture": pictures.get(e.uid)} for e in each.examples()]
        for title, each in drawn.items()
    }
    write_made(folder / "examples.json", json.dumps(shown, indent=1, ensure_ascii=False) + "\n")
    for name, figure in scores.drawn().items():
        write_made(folder / name, figure)
    page = environment(__package__).from_string(PAGE)
    told = manifest(pool, plan, counts)
    if isinstance(pool.place, LocalPlace):
        told["pool"] = pool.place.root.resolve().name  # "." says nothing on a page
    write_made(folder / "index.html", page.render(told=told, shown=shown, figures=sorted(scores.names)))
    return folder / "index.html"


def _drawn(plan: FilterPlan) -> dict[str, Drawn]:
    return {"kept": Drawn(), **{f"dropped by {rule.name}": Drawn() for rule in plan.rules}}


def _look(
    pool: Pool,
    plan: FilterPlan,
    shard: Shard,
    counts: ShardCounts,
    drawn: dict[str, Drawn],
    scores: _Histograms,
    seed: int,
) -> None:
    """Judge one shard's rows, and offer each as an example where it belongs."""
    has_text = pool.tells(shard, "text")
    columns = ["uid", *(["text"] if has_text else [])]
    start = 0
    for each in judged(pool, plan, shard, columns, counts):
        batch, pattern, stays = each.table, each.pattern, each.stays
        scores.add(batch)
        draws = _draws(batch["uid"].to_pylist(), seed)
        places = {"kept": np.flatnonzero(stays)}
        places |= {
            f"dropped by {rule.name}": np.flatnonzero(pattern >> bit & 1)
            for bit, rule in enumerate(plan.rules)
        }
        for title, rows in places.items():
            for row in rows[np.argsort(draws[rows], kind="stable")[:EXAMPLES]].tolist():
                text = (batch["text"][row].as_py() if has_text else None) or ""
                drawn[title].offer(
                    Example(int(draws[row]), batch["uid"][row].as_py(), text[:400], shard, start + row)
                )
        start += len(batch)


def _draws(uids: list[str], seed: int) -> npt.NDArray[np.uint64]:
    digests = (hashlib.blake2b(f"{seed}\x1f{uid}".encode(), digest_size=8).digest() for uid in uids)
    return np.frombuffer(b"".join(digests), "<u8")


def _pictures(pool: Pool, examples: list[Example], folder: Path) -> dict[str, str]:
    """Thumbnails of the examples that have an image, by uid: file names, which are hex digits and nothing else."""
    wanted: dict[Shard, dict[int, str]] = {}
    for example in examples:
        if example.shard is not None and holds_images(pool, example.shard):
            wanted.setdefault(example.shard, {})[example.row] = example.uid
    found = {}
    for shard, rows in wanted.items():
        for row, data in _images(pool, shard, set(rows)):
            name = f"images/{hashlib.sha256(rows[row].encode()).hexdigest()[:32]}.jpg"
            try:
                write_made(folder / name, thumbnail(data, THUMBNAIL))
            except ImageError:
                continue
            found[rows[row]] = name
    return found


def _images(pool: Pool, shard: Shard, rows: set[int]) -> Iterator[tuple[int, bytes]]:
    for row, sample in paired(pool, shard, rows):
        if sample.image is not None:
            yield row, sample.image


class _Histograms:
    """Counts of each score that a rule cuts, over a range that the first batch suggests; outliers join the
    end bins.
    """

    def __init__(self, plan: FilterPlan) -> None:
        self.cuts = {
            each.columns[0]: each.cut.score if isinstance(each, ScoreCut) else each.least
            for rule in plan.rules
            for each in _score_filters(rule)
        }
        self.edges: dict[str, npt.NDArray[np.float64]] = {}
        self.counts: dict[str, npt.NDArray[np.int64]] = {}

    @property
    def names(self) -> list[str]:
        return [_file_name(column) for column in self.counts]

    def add(self, batch: pa.Table) -> None:
        for column, cut in self.cuts.items():
            values = numbers(batch[column])
            values = values[np.isfinite(values)]
            if not len(values):
                continue
            if column not in self.edges:
                low, high = np.quantile(values, [0.001, 0.999])
                ends = [low, high, *([cut] if np.isfinite(cut) else [])]
                margin = (max(ends) - min(ends)) * 0.1 or 1.0
                edges = np.linspace(min(ends) - margin, max(ends) + margin, BINS + 1)
                self.edges[column] = _with_edge_at(cut, edges) if np.isfinite(cut) else edges
                self.counts[column] = np.zeros(BINS, np.int64)
            edges = self.edges[column]
            self.counts[column] += np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]

    def drawn(self) -> dict[str, bytes]:
        """PNG files by name."""
        from matplotlib.figure import Figure

        figures = {}
        for column, counts in self.counts.items():
            figure = Figure(figsize=(7, 2.6), layout="constrained")
            axes = figure.subplots()
            edges, cut = self.edges[column], self.cuts[column]
            axes.bar(
                edges[:-1],
                counts,
                np.diff(edges),
                align="edge",
                color=["#b8bfc6" if e < cut else "#2a6f97" for e in edges[:-1]],
            )
            axes.axvline(cut, color="#b3261e", linewidth=1.2)
            written = f"{shown(column)}; the cut is at {cut:.6g}"
            axes.set_xlabel(written, parse_math=False, fontfamily=list(families()))
            axes.set_ylabel("samples")
            axes.locator_params(axis="y", integer=True)
            buffer = io.BytesIO()
            with quiet():
                figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
            figures[_file_name(column)] = buffer.getvalue()
        return figures


def _with_edge_at(cut: float, edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The edges moved by less than a bin, so that no bar holds rows of both sides of the cut."""
    nearest = int(np.argmin(np.abs(edges - cut)))
    moved: npt.NDArray[np.float64] = edges + (cut - edges[nearest])
    moved[nearest] = cut
    return moved


def _score_filters(rule: Rule) -> list[ScoreCut | ScoreAbove]:
    return [each for each in rule.filters if isinstance(each, (ScoreCut, ScoreAbove))]


def _file_name(column: str) -> str:
    return f"scores-{hashlib.sha256(column.encode()).hexdigest()[:12]}.png"


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self'; style-src 'unsafe-inline'">
<title>What the filter did</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f23; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
td, th { padding: .2rem 1rem .2rem 0; text-align: left; }
td.n { text-align: right; font-variant-numeric:
tabular-nums; }
img.figure { max-width: 100%; height: auto; }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { max-width: 100%; max-height: 10rem; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; } .uid { color: #5a636c; font-size: .75rem; }
</style></head><body>
<h1>What the filter did</h1>
<p>{{ told.pool }}: {{ "{:,}".format(told.rows_kept) }} of {{ "{:,}".format(told.rows_read) }} rows stay
({{ told.rules|map(attribute="name")|join(" " ~ told.combine ~ " ") }}).</p>
{% for name in figures %}
<p><img class="figure" src="{{ name }}" alt="histogram of a score with its cut"></p>{% endfor %}
<h2>Rules</h2>
<table><tr><th>rule<th>filter<th>with</tr>
{% for rule in told.rules %}{% for f in rule.filters %}<tr><td>{{ rule.name }}<td>{{ f.filter }}
<td>{% for key, value in f.items() if key != "filter" and value is not mapping %}
{{ key }} {{ value }}{% if not loop.last %}, {% endif %}{% endfor %}</tr>
{% endfor %}{% endfor %}</table>
{% for name, layer in told.inputs.layers.items() %}<p>{{ name }} comes from the layer {{ layer.folder }}
({{ layer.encoder|default(layer.scorer|default("clusters")) }})</p>
{% endfor %}
<h2>Why rows go</h2>
<table><tr><th>rule<th>filter<th>reason<th>rows</tr>
{% for r in told.dropped_by_reason %}<tr><td>{{ r.rule }}<td>{{ r.filter }}<td>{{ r.reason }}
<td class="n">{{ "{:,}".format(r.rows) }}</tr>
{% endfor %}</table>
<h2>Overlaps</h2>
<table><tr><th>dropped by<th>rows</tr>
{% for r in told.overlaps %}<tr><td>{{ r.dropped_by|join(" and ") or "no rule" }}
<td class="n">{{ "{:,}".format(r.rows) }}</tr>
{% endfor %}</table>
{% for title, examples in shown.items() %}<h2>{{ title|capitalize }}</h2>
{% if examples %}<div class="row">{% for e in examples %}<figure>
{% if e.picture %}<img src="{{ e.picture }}" alt="">{% else %}<span class="uid">(no picture)</span>{% endif %}
<figcaption>{{ e.text or "(no caption)" }}<br><span class="uid">{{ e.uid }}</span></figcaption></figure>
{% endfor %}</div>{% else %}<p>None.</p>{% endif %}
{% endfor %}
</body></html>
"""
