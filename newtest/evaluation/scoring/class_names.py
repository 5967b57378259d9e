"""The classes of a set in words: from a file, else WordNet's first lemma, else the class id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from newtest.classes import is_wnid, read_classes, wordnet
from newtest.errors import ClassError, EvaluationError
from newtest.evaluation.scoring.class_lists import read_names
from newtest.evaluation.scoring.frames import read_frame
from newtest.evaluation.scoring.keyed_names import of_lines, of_object
from newtest.evaluation.scoring.opening import read_text
from newtest.reading.jsons import read_json

__all__ = ["ClassNames", "class_names"]


@dataclass(frozen=True)
class ClassNames:
    """``names`` has a name a class, in the order asked for; ``lemmas`` all the words of the classes known by words."""

    names: Mapping[str, str]
    source: str
    lemmas: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)


def class_names(classes: Sequence[str], path: Path | None = None) -> ClassNames:
    """Names of these classes.

    ``path``: a text file with a name a line, or a JSON list, in the order of the classes; either with ids in front,
    read by id (``newtest.evaluation.scoring.keyed_names``); a CSV or Parquet with the columns ``wnid`` (or ``class``)
    and ``name``; newtest's own ``classes.toml`` (the first lemma); or ImageNetV2's ``class_info.json`` (the first
    lemma). Files keyed by class may know more classes than are asked for. Raises EvaluationError when the file does not
    name every class.
    """
    if path is None:
        return _from_wordnet(classes)
    suffix = path.suffix.lower()
    if suffix == ".toml":
        lemmas = {wnid: known.lemmas for wnid, known in read_classes(path).items()}
        return _picked(classes, {wnid: words[0] for wnid, words in lemmas.items()}, path, lemmas)
    if suffix in (".csv", ".tsv", ".parquet"):
        return _picked(classes, _table(path), path)
    if suffix == ".json" and (synsets := _class_info(path)):
        return _picked(classes, {wnid: words[0] for wnid, words in synsets.items()}, path, synsets)
    if suffix == ".json" and (keyed := of_object(read_text(path), classes, path)) is not None:
        return _picked(classes, keyed, path)
    lines = read_names(path)
    if suffix != ".json" and (keyed := of_lines(lines, classes, path)) is not None:
        return _picked(classes, keyed, path)
    if len(lines) != len(classes):
        raise EvaluationError(
            f"{path}: {len(lines)} names for {len(classes)} classes; give one line per class in their order, ids "
            "in front of the names, or a CSV with the columns wnid and name"
        )
    return ClassNames(dict(zip(classes, lines, strict=True)), path.name)


def _from_wordnet(classes: Sequence[str]) -> ClassNames:
    lemmas: dict[str, Sequence[str]] = {}
    for cls in classes:
        if is_wnid(cls):
            try:
                lemmas[cls] = wordnet().cls(cls).lemmas
            except ClassError:  # no WordNet here, or not a noun of it: the id has to do
                continue
    names = {cls: lemmas[cls][0] if cls in lemmas else cls for cls in classes}
    source = "WordNet" if len(lemmas) == len(classes) else "WordNet and class ids" if lemmas else "class ids"
    return ClassNames(names, source, lemmas)


def _picked(
    classes: Sequence[str],
    known: Mapping[str, str],
    path: Path,
    lemmas: Mapping[str, Sequence[str]] | None = None,
) -> ClassNames:
    missing = [cls for cls in classes if not known.get(cls, "").strip()]
    if missing:
        raise EvaluationError(f"{path}: {len(missing)} classes have no name there, first {missing[0]!r}")
    words = {cls: lemmas[cls] for cls in classes} if lemmas else {}
    return ClassNames({cls: known[cls] for cls in classes}, path.name, words)


def _table(path: Path) -> dict[str, str]:
    frame = read_frame(path, text=True)
    key = next((column for column in ("wnid", "class") if column in frame.columns), None)
    if key is None or "name" not in frame.columns:
        raise EvaluationError(
            f"{path}: a table of class names has the columns wnid (or class) and name; there are "
            f"{', '.join(map(str, frame.columns))}"
        )
    named = frame.dropna(subset=[key, "name"])
    if named[key].astype(str).duplicated().any():
        twice = named[key].astype(str)[named[key].astype(str).duplicated()].iloc[0]
        raise EvaluationError(f"{path}: class {twice!r} is named twice")
    return dict(zip(named[key].astype(str), named["name"].astype(str), strict=True))


def _class_info(path: Path) -> dict[str, list[str]]:
    """ImageNetV2's list of classes; empty for any other JSON, which ``read_names`` then reads or refuses."""
    try:
        entries = read_json(path)
        return {
            str(entry["wnid"]): [str(word) for word in entry["synset"]]
            for entry in entries
            if entry["synset"]
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
