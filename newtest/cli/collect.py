"""newtest classes, newtest collect"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.class_options import ClassesFile, Wnids, WnidsFile, chosen_classes, lines_of
from newtest.cli.options import JsonFlag, StudyDir, note, print_json, print_table, progress

if TYPE_CHECKING:
    from newtest.classes import QueryConfig
    from newtest.collecting import CollectConfig, Found
    from newtest.records import Class
    from newtest.sources import Source
    from newtest.study import Study

__all__ = ["classes", "collect"]

Hypernym = Annotated[
    str,
    typer.Option(
        "--hypernym", metavar="no|add|only", help="Lemmas followed by their hypernym: never, also, only."
    ),
]
Join = Annotated[
    str,
    typer.Option(
        "--join", metavar="no|add|only", help='Compounds as one word ("boxturtle"): never, also, only.'
    ),
]
Terms = Annotated[
    list[str], typer.Option("--term", metavar="TEXT", help="A search of your own, before the lemmas.")
]
Exclude = Annotated[
    list[str], typer.Option("--exclude", metavar="WORD", help="Leave out results with this word (-WORD).")
]
Omw = Annotated[
    Path | None,
    typer.Option("--omw", metavar="DIR", help="Folder of Open Multilingual WordNet's wn-data-LANG.tab."),
]
Languages = Annotated[
    list[str], typer.Option("--language", metavar="LANG", help="A language to search in too, such as jpn.")
]
Day = str | None


def classes(
    wnid: Wnids = [],  # noqa: B006  # typer's own way
    wnids_file: WnidsFile = None,
    classes_file: ClassesFile = None,
    hypernym: Hypernym = "no",
    join: Join = "no",
    term: Terms = [],  # noqa: B006
    exclude: Exclude = [],  # noqa: B006
    omw: Omw = None,
    language: Languages = [],  # noqa: B006
    among: Annotated[
        Path | None, typer.Option("--among", metavar="F", help="A file of wnids: show the nearest of them.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Show what a wnid means and what would be searched for; with --among also the nearest other classes.

    Example: newtest classes --wnid n01443537 --among wnids.txt
    """
    from dataclasses import asdict, replace

    from newtest.classes import is_wnid, most_similar, queries_of

    chosen = chosen_classes(wnid, wnids_file, classes_file)
    others = lines_of(among) if among else []
    options = replace(
        _options(hypernym, join, term, exclude), more_lemmas=_translations(chosen, omw, language)
    )
    queries = {cls.wnid: [query.text for query in queries_of(cls, options)] for cls in chosen}
    near = {cls.wnid: most_similar(cls.wnid, others, 5) if is_wnid(cls.wnid) else [] for cls in chosen}
    if json:
        print_json(
            [asdict(cls) | {"queries": queries[cls.wnid], "nearest": near[cls.wnid]} for cls in chosen]
        )
        return
    for cls in chosen:
        rows = [
            ("lemmas", ", ".join(cls.lemmas)),
            ("gloss", cls.gloss),
            ("hypernyms", ", ".join(cls.hypernyms)),
            ("queries", ", ".join(queries[cls.wnid])),
            ("nearest", ", ".join(f"{other} ({similarity:.2f})" for other, similarity in near[cls.wnid])),
        ]
        print_table(["wnid", cls.wnid], [row for row in rows if row[1]])


def collect(
    study: StudyDir = Path(),
    wnid: Wnids = [],  # noqa: B006
    wnids_file: WnidsFile = None,
    classes_file: ClassesFile = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="SOURCE",
            help="flickr, openverse, recorded:PATH, folder:PATH or table:PATH.",
            show_default="flickr, or openverse when there is no Flickr key",
        ),
    ] = None,
    max_images: Annotated[int, typer.Option("--max-images", min=1, help="Candidates per class.")] = 200,
    taken_after: Annotated[
        Day, typer.Option("--taken-after", metavar="D", help="YYYY-MM-DD, included.")
    ] = None,
    taken_before: Annotated[
        Day, typer.Option("--taken-before", metavar="D", help="YYYY-MM-DD, included.")
    ] = None,
    uploaded_after: Annotated[
        Day, typer.Option("--uploaded-after", metavar="D", help="YYYY-MM-DD, included.")
    ] = None,
    uploaded_before: Annotated[
        Day, typer.Option("--uploaded-before", metavar="D", help="YYYY-MM-DD, included.")
    ] = None,
    license: Annotated[
        list[str],
        typer.Option(
            "--license", metavar="NAME", help="Only this licence (by, by-sa, cc0, ...); repeatable."
        ),
    ] = [],  # noqa: B006
    hypernym: Hypernym = "no",
    join: Join = "no",
    term: Terms = [],  # noqa: B006
    exclude: Exclude = [],  # noqa: B006
    omw: Omw = None,
    language: Languages = [],  # noqa: B006
    no_fetch: Annotated[bool, typer.Option("--no-fetch", help="Leave the images to newtest fetch.")] = False,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow private and loopback addresses too.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Search for candidates of classes, up to a quota per class, and download them. Run it again after an interruption.

    Example: newtest collect --study goldfish --wnid n01443537 --max-images 200 --taken-after 2012-07-11
    """
    from dataclasses import replace

    from newtest.collecting import CollectConfig, count
    from newtest.collecting import collect as run
    from newtest.records import Query
    from newtest.sources import checked_licenses, open_source
    from newtest.study import Study

    chosen = chosen_classes(wnid, wnids_file, classes_file)
    taken = _window("taken", taken_after, taken_before)
    uploaded = _window("uploaded", uploaded_after, uploaded_before)
    window = Query("", "", (), *taken, *uploaded, licenses=checked_licenses(license))
    options = replace(
        _options(hypernym, join, term, exclude),
        more_lemmas=_translations(chosen, omw, language),
        window=window,
    )
    opened_source = open_source(source, note, page_size=max_images)
    fetched = True
    with Study(study, create=True) as opened:
        config = CollectConfig(max_images, options)
        _announce(opened, opened_source, chosen, config)
        with progress() as bars:
            found = run(opened, opened_source, chosen, config, bars)
        if not no_fetch:
            fetched = _fetch(opened, allow_private=allow_private, as_json=json)
            found = count(opened, found)
    _report(found, as_json=json)
    if not fetched or any(entry.error for entry in found):
        raise typer.Exit(1)


def _announce(study: Study, source: Source, classes: Sequence[Class], config: CollectConfig) -> None:
    """Say what will be asked of a source that counts calls, and how long that takes, before anything is asked."""
    from newtest.collecting import budget

    expected, limits = budget(study, source, classes, config), source.limits
    if expected is None or limits is None or not expected.calls:
        return
    rates = ", ".join(f"{calls:,} per {_span(seconds)}" for calls, seconds in limits.rates)
    note(
        f"{source.name}: at least {expected.calls:,} calls for {_classes_of(len(classes))}, "
        f"of {limits.page_size} results; "
        + (f"at {rates} they take at least {_duration(expected.seconds)}" if rates else "no limit is known")
    )


def _classes_of(number: int) -> str:
    return f"{number:,} classes" if number != 1 else "1 class"


def _span(seconds: float) -> str:
    """A time over which calls are counted."""
    return {60.0: "minute", 3600.0: "hour", 86400.0: "day"}.get(seconds, f"{seconds:g} s")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds else "a few seconds"


def _fetch(study: Study, *, allow_private: bool, as_json: bool) -> bool:
    """Download what is missing; whether all of it came."""
    from newtest.cli.downloading import fetched, report
    from newtest.fetching import DownloadConfig, FetchConfig

    config = FetchConfig(download=DownloadConfig(allow_private=allow_private))
    summary = fetched(study, config)
    if not as_json:
        report(summary, config.max_attempts)
    return not (summary.failed or summary.gone or summary.given_up)


def _report(found: Sequence[Found], *, as_json: bool) -> None:
    from dataclasses import asdict

    from newtest.collecting import left_out_line

    for entry in found:
        if entry.error:
            note(f"newtest: {entry.wnid}, query {entry.query!r}: {entry.error}")
    if as_json:
        print_json([asdict(entry) for entry in found])
        return
    rows = [(entry.wnid, entry.query, entry.found, entry.new, entry.known, entry.failed) for entry in found]
    totals = [sum(int(row[column]) for row in rows) for column in range(2, 6)]
    print_table(["class", "query", "found", "new", "known", "failed"], [*rows, ("total", "", *totals)])
    if line := left_out_line(found):
        note(line)


def _options(hypernym: str, join: str, terms: Sequence[str], exclude: Sequence[str]) -> QueryConfig:
    """The options of queries. Raises UsageError."""
    from newtest.classes import QueryConfig
    from newtest.errors import UsageError

    for name, value in (("--hypernym", hypernym), ("--join", join)):
        if value not in ("no", "add", "only"):
            raise UsageError(f"{name} {value!r} is not one of no, add, only")
    return QueryConfig(hypernym, join, tuple(terms), tuple(exclude))


def _translations(
    classes: Sequence[Class], omw: Path | None, languages: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """wnid -> lemmas in the languages asked for. Raises UsageError when only one of the two options is given."""
    from newtest.classes.omw import lemmas_of
    from newtest.errors import UsageError

    if (omw is None) != (not languages):
        raise UsageError("--omw DIR and --language LANG belong together: give both")
    return lemmas_of(omw, languages, [cls.wnid for cls in classes]) if omw else {}


def _window(name: str, after: str | None, before: str | None) -> tuple[str | None, str | None]:
    """Two days, checked. Raises UsageError: not a day, or the window ends before it begins."""
    import datetime

    from newtest.errors import UsageError

    for end, day in (("after", after), ("before", before)):
        try:
            if day is not None and datetime.date.fromisoformat(day).isoformat() != day:
                raise ValueError
        except ValueError:
            raise UsageError(f"--{name}-{end} {day!r} is not a day: YYYY-MM-DD, such as 2012-07-11") from None
    if after and before and after > before:
        raise UsageError(f"--{name}-after {after} is later than --{name}-before {before}: no photo fits")
    return after, before
