"""newtest audit-pool"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.options import JsonFlag, note, own_folder, print_json, print_table, progress
from newtest.cli.pool_options import EngineName, ImageCol, LayersDir, PoolAt, Workers, default_out, engine_of

if TYPE_CHECKING:
    from newtest.pool.audit import Audited

__all__ = ["audit_pool"]


def audit_pool(
    pool: PoolAt = ".",
    subset: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Only rows of this subset. May be repeated: rows that are in all of them.",
            show_default="all rows",
        ),
    ] = None,
    dropped: Annotated[
        bool, typer.Option("--dropped", help="Take the rows that the subset leaves out, instead.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="What makes the strata: a column of texts or numbers, a score, or: rule.",
            show_default="one stratum",
        ),
    ] = None,
    bins: Annotated[int, typer.Option(help="Ranges that a column of numbers is cut into.")] = 5,
    edges: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="The numbers to cut such a column at, instead of --bins."),
    ] = None,
    size: Annotated[int, typer.Option(help="Items in all, in proportion to the strata.")] = 300,
    per_stratum: Annotated[int | None, typer.Option(help="Items of each stratum, instead of --size.")] = None,
    question: Annotated[
        str | None,
        typer.Option(help="What people answer with yes, no or unsure.", show_default="is something wrong?"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The audit's folder.", callback=own_folder, show_default="audit"),
    ] = None,
    answers: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Votes from the audit's page: print the shares. May be repeated."),
    ] = None,
    level: Annotated[float, typer.Option(help="How sure the upper bounds are.")] = 0.95,
    image_col: ImageCol = None,
    layers: LayersDir = None,
    engine: EngineName = "local",
    workers: Workers = 0,
    json: JsonFlag = False,
) -> None:
    """Draw a stratified sample of a pool for people to look over, and tell what their votes say of all rows.

    Without --answers it writes a page with keys for votes, which needs no server. With --answers it reads the votes
    that were saved there. It prints the share of yes of each stratum and of all rows, with an upper bound.

    Example: newtest audit-pool mypool --subset kept.npy --by clip_score --question "Is it unsafe?" --out audit
    """
    folder = out or default_out(pool, "audit")
    if answers:
        from newtest.pool.audit import audited

        _print(audited(folder, answers, level=level), as_json=json)
        return
    from newtest.pool.audit import AuditConfig, draw, write_audit
    from newtest.pool.storage import subset as subsets
    from newtest.pool.storage.pool import open_pool

    config = AuditConfig(
        by or "", bins, _numbers(edges), size, per_stratum, dropped, seed, question or AuditConfig.question
    )
    opened = open_pool(pool, layers=layers, image_col=image_col)
    chosen = subsets.read_all(subset) if subset else None
    with progress() as bars:
        sample = draw(opened, config, chosen, engine=engine_of(engine), workers=workers, progress=bars)
        page = write_audit(opened, sample, folder, bars)
    strata = [
        {"stratum": label, "rows": rows, "drawn": sample.drawn[label]}
        for label, rows in sample.population.items()
    ]
    if json:
        told = {"page": str(page), "items": len(sample.items), "rows_opted_out": sample.opted_out}
        print_json({**told, "strata": strata})
        return
    print_table(["stratum", "rows", "drawn"], [list(row.values()) for row in strata])
    if sample.opted_out:
        note(f"{sample.opted_out:,} rows opted out, by the pool's own lists, and are not drawn from")
    print(
        f"{len(sample.items):,} items of {sum(sample.population.values()):,} rows; open {page}, vote, save the votes, "
        f"and run: newtest audit-pool --out {folder} --answers VOTES.csv"
    )


def _numbers(edges: str | None) -> tuple[float, ...]:
    from newtest.errors import UsageError

    try:
        return tuple(float(part) for part in edges.split(",")) if edges else ()
    except ValueError:
        raise UsageError(f"`edges` {edges!r} is not a list of numbers such as 0.2,0.3") from None


def _print(found: Audited, *, as_json: bool) -> None:
    if as_json:
        print_json({**vars(found), "strata": [vars(each) for each in found.strata]})
        return
    print_table(
        [
            "stratum",
            "rows",
            "drawn",
            "yes",
            "no",
            "doubtful",
            "share of yes",
            f"at most ({_percent(found.level)})",
        ],
        [
            (s.stratum, s.rows, s.drawn, s.yes, s.no, s.doubtful, _share(s.share), _share(s.at_most))
            for s in found.strata
        ],
    )
    doubtful = {"divided": found.divided, "unsure": found.unsure, "skipped": found.skipped}
    told = ", ".join(f"{number:,} {word}" for word, number in doubtful.items() if number)
    if told:
        note(f"doubtful items: {told}; the bounds take them for yes")
    if found.not_reached:
        note(
            f"{found.not_reached:,} items at the end have no vote; the others are a random sample without them"
        )
    print(f"{found.question} (asked of {', '.join(found.reviewers)})")
    print(
        f"of all {found.rows:,} rows: {_share(found.share) or 'unknown'}, at most {_share(found.at_most)} "
        f"(one-sided, {_percent(found.level)})"
    )


def _percent(level: float) -> str:
    return f"{100 * level:.6g} %"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
