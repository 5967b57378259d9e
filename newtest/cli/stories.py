"""What ``newtest`` without arguments shows: the commands of the three stories."""

from __future__ import annotations

__all__ = ["STORIES", "told"]

STORIES: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Begin",
        (
            ("newtest demo", "replicate a test set of digits"),
            ("newtest doctor", "see what is missing"),
        ),
    ),
    (
        "Replicate a test set",
        (
            ("newtest collect --wnid n01443537", "find candidates"),
            ("newtest reference add val --images val", "register the original"),
            ("newtest annotate plan", "plan the votes, then serve"),
            ("newtest dedup", "find near-duplicates"),
            ("newtest sample --name a-0", "draw a set as hard as the original"),
            ("newtest release a-0 --out a-0", "write it as a dataset"),
        ),
    ),
    (
        "Curate a pool",
        (
            ("newtest fetch-pool urls.parquet --out pool", "download images"),
            ("newtest embed-pool pool", "score with CLIP"),
            ("newtest filter-pool pool --clip-score", "choose rows"),
            ("newtest dedup-pool pool", "find duplicates"),
            ("newtest decontaminate-pool pool --against val", "leave out test images"),
            ("newtest reshard-pool pool --subset clean.npy", "write new shards"),
        ),
    ),
    (
        "Measure models",
        (
            ("newtest evaluate val --predictions model.npy", "score predictions"),
            ("newtest zeroshot val", "classify by class names"),
            ("newtest report html results --original val", "write one page"),
        ),
    ),
)
"""Each story with its commands, as they are typed, and what each does. A line has at most 80 characters."""


def told() -> str:
    """The stories as text for a terminal."""
    lines = ["newtest replicates image test sets and curates image-text pools.", ""]
    for title, commands in STORIES:
        width = max(len(command) for command, _ in commands)
        lines += [title, *(f"  {command:<{width}}  {does}" for command, does in commands), ""]
    lines += ["newtest --help lists every command.", "newtest COMMAND --help explains one, with an example."]
    return "\n".join(lines)
