"""Lemmas in other languages, from a folder of Open Multilingual WordNet tab files.

A file is ``wn-data-LANG.tab`` (anywhere below the folder); a line is ``OFFSET-POS<TAB>TYPE<TAB>LEMMA`` with the offset
of WordNet 3.0 and a type of ``lemma`` or ``LANG:lemma``. Lines of ``#`` are comments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from newtest.errors import ClassError
from newtest.files import text_at

__all__ = ["lemmas_of"]


def lemmas_of(folder: Path, languages: Sequence[str], wnids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """wnid -> its lemmas in the given languages, in the order of the languages and of their files.

    Raises ClassError: no such folder, no file for a language, or a file that is not text.
    """
    wanted = {f"{wnid[1:]}-n": wnid for wnid in wnids}
    found: dict[str, dict[str, None]] = {wnid: {} for wnid in wanted.values()}
    for language in languages:
        for file in _files(folder, language):
            try:
                lines = text_at(file).splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ClassError(f"{file}: cannot be read as a tab file ({error})") from error
            for line in lines:
                synset, _, rest = line.partition("\t")
                kind, _, lemma = rest.partition("\t")
                if synset in wanted and kind in ("lemma", f"{language}:lemma") and lemma.strip():
                    found[wanted[synset]][lemma.strip().replace("_", " ")] = None
    return {wnid: tuple(lemmas) for wnid, lemmas in found.items()}


def _files(folder: Path, language: str) -> list[Path]:
    if not folder.is_dir():
        raise ClassError(f"{folder}: no such folder; `omw` names the folder of the wn-data-LANG.tab files")
    files = [file for file in sorted(folder.rglob("wn-data-*.tab")) if file.name == f"wn-data-{language}.tab"]
    if not files:
        raise ClassError(f"{folder}: no wn-data-{language}.tab in it for the language {language!r}")
    return files
