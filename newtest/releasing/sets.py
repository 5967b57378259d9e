"""Reading sets that may need checking: our releases, ImageFolder trees, ImageNetV2's JSON, revisions of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from newtest.catalog.classes import class_of
from newtest.catalog.releases import member_rows
from newtest.catalog.revisions import find, names
from newtest.classes import classes_of
from newtest.errors import ClassError, NotFoundError, ReleaseError, UsageError
from newtest.files import text_at
from newtest.reading.jsons import read_json
from newtest.reading.separated import read_separated
from newtest.sets import Census, read_image_set
from newtest.spreadsheets import unguarded
from newtest.study import Study

__all__ = ["SetMember", "SetToCheck", "read_folder", "read_release", "read_revision", "read_table"]


@dataclass(frozen=True)
class SetMember:
    """One image in one class; what the set does not tell is None."""

    image_id: str
    wnid: str
    file: Path | None = None
    sha256: str | None = None
    license: str | None = None
    num_shown: int | None = None


@dataclass(frozen=True)
class SetToCheck:
    """``folders``: class folders in the set's own naming; ``names``: wnid -> class name; ``sums``: path -> sha256;
    ``archives``: tars and Parquet files that hold the images.
    """

    name: str
    kind: str
    members: Sequence[SetMember]
    folders: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    sums: Mapping[Path, str] | None = None
    extra_files: Sequence[Path] = ()
    archives: Sequence[Path] = ()
    tells_licenses: bool = False
    census: Census | None = None
    """Files, images and what was left out, of a folder."""
    note: str = ""
    min_votes: int | None = None
    """The votes per image that the set's own revision asked for, where it says so."""


def read_release(folder: Path) -> SetToCheck:
    """A folder that ``newtest release`` wrote. Raises ReleaseError when a part of it cannot be read."""
    try:
        manifest = read_separated(folder / "manifest.csv", dtype=str, keep_default_na=False)
        classes = read_separated(folder / "classes.csv", dtype=str, keep_default_na=False)
        lines = text_at(folder / "SHA256SUMS").split("\n")
        columns = ("image_id", "wnid", "file", "sha256", "license", "num_shown")
        members = [
            SetMember(image_id, wnid, _inside(folder, file), sha256, unguarded(license_) or None, int(shown))
            for image_id, wnid, file, sha256, license_, shown in zip(
                *(manifest[name] for name in columns), strict=True
            )
        ]
        names = dict(zip(classes["wnid"], classes["name"], strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise ReleaseError(f"{folder}: not a whole release of newtest ({error})") from error
    revision = _revision(folder)
    files = {line[66:]: line[:64] for line in lines if len(line) > 66}
    if outside := [file for file in files if Path(file).is_absolute() or ".." in Path(file).parts]:
        raise ReleaseError(f"{folder}: SHA256SUMS names {outside[0]!r}, which is not in the release")
    sums = {folder / file: sha256 for file, sha256 in files.items()}
    present = {file for file in folder.rglob("*") if file.is_file()} - {folder / "SHA256SUMS"}
    return SetToCheck(
        name=str(folder),
        kind="release",
        members=members,
        folders=sorted(set(manifest["wnid"])),
        names=names,
        sums=sums,
        extra_files=sorted(present - set(sums)),
        archives=[*sorted(folder.glob("shards/*.tar")), *sorted(folder.glob("parquet/*.parquet"))],
        tells_licenses=True,
        min_votes=_min_votes(revision.get("config")),
    )


def _revision(folder: Path) -> dict[str, object]:
    """What the release says of its draw; {} where it has no such file. Raises ReleaseError."""
    path = folder / "revision.json"
    if not path.exists():
        return {}
    found = read_json(path)
    if not isinstance(found, dict):
        raise ReleaseError(f"{path}: not an object of JSON")
    return found


def _min_votes(config: object) -> int | None:
    least = config.get("min_votes") if isinstance(config, dict) else None
    return least if isinstance(least, int) and not isinstance(least, bool) and least >= 0 else None


def read_folder(folder: Path) -> SetToCheck:
    """An ImageFolder tree; ids by the rule of ``newtest.sets.ids_of``. Raises UsageError."""
    found = read_image_set(folder)
    if not found.images:
        raise UsageError(
            f"{folder}: neither a release nor an ImageFolder: no images in its folders ({found.census.says()})"
        )
    members = [SetMember(image.image_id, image.cls, image.path) for image in found.images]
    folders = sorted(found.classes)
    return SetToCheck(str(folder), "folder", members, folders, _wordnet_names(folders), census=found.census)


def read_table(path: Path) -> SetToCheck:
    """A table of ids and classes, or one of ImageNetV2's dataset files. Raises UsageError."""
    found = read_image_set(path)
    members = [SetMember(image.image_id, image.cls, image.path) for image in found.images]
    kind = "json" if path.suffix.lower() == ".json" else "table"
    return SetToCheck(str(path), kind, members, names=_wordnet_names(found.classes))


def read_revision(study: Study, name: str) -> SetToCheck:
    """A revision of a study, before it is released. Raises UsageError when there is none of this name."""
    revision = find(study.catalog, name)
    if revision is None:
        known = ", ".join(names(study.catalog)) or "none"
        raise NotFoundError(
            f"{name!r} is neither a path nor a revision of {study.root}; its revisions: {known}"
        )
    rows = member_rows(study.catalog, name)
    classes = {wnid: class_of(study.catalog, wnid) for wnid in sorted({row.wnid for row in rows})}
    return SetToCheck(
        name=name,
        kind="revision",
        members=[
            SetMember(
                row.image_id,
                row.wnid,
                study.image_path(row.sha256) if row.sha256 else None,
                row.sha256,
                row.license,
                row.num_shown,
            )
            for row in rows
        ],
        folders=list(classes),
        names={wnid: cls.name for wnid, cls in classes.items() if cls is not None},
        tells_licenses=True,
        min_votes=_min_votes(revision.config_values()),
    )


def _wordnet_names(wnids: Sequence[str]) -> dict[str, str]:
    """Class names from WordNet; none where the ids are not WordNet's, or it is not installed."""
    try:
        return {cls.wnid: cls.name for cls in classes_of(wnids)}
    except (ClassError, UsageError):
        return {}


def _inside(folder: Path, file: str) -> Path | None:
    """The image's own file; None when it lies inside a tar or Parquet file."""
    return folder / file if file.startswith("images/") and ".." not in Path(file).parts else None
