"""Reading sets that may need checking: our releases, ImageFolder trees, ImageNetV2's JSON, revisions of a study."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from newtest.catalog.classes import class_of
from newtest.catalog.releases import member_rows
from newtest.catalog.revisions import find, names
from newtest.classes import classes_of
from newtest.errors import ClassError, ReleaseError, UsageError
from newtest.reference import SUFFIXES
from newtest.spreadsheets import unguarded
from newtest.study import Study

__all__ = ["SetMember", "SetToCheck", "read_folder", "read_json", "read_release", "read_revision"]


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


def read_release(folder: Path) -> SetToCheck:
    """A folder that ``newtest release`` wrote. Raises ReleaseError when a part of it cannot be read."""
    import pandas as pd

    try:
        manifest = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
        classes = pd.read_csv(folder / "classes.csv", dtype=str, keep_default_na=False)
        lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
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
    )


def read_folder(folder: Path) -> SetToCheck:
    """An ImageFolder tree. An image's id is its file name: without suffix where that is 40 hex digits, as ImageNetV2's
    are; else ``FOLDER/NAME`` where that very name occurs in several folders."""
    kinds = sorted(kind for kind in folder.iterdir() if kind.is_dir() and not kind.name.startswith("."))
    files = [
        file
        for kind in kinds
        for file in sorted(kind.iterdir())
        if file.is_file() and file.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise UsageError(f"{folder}: neither a release nor an ImageFolder: no images in its folders")
    times = Counter(file.name for file in files)
    members = [
        SetMember(
            _published_id(file)
            or (file.name if times[file.name] == 1 else f"{file.parent.name}/{file.name}"),
            file.parent.name,
            file,
        )
        for file in files
    ]
    folders = [kind.name for kind in kinds]
    return SetToCheck(str(folder), "folder", members, folders, _wordnet_names(folders))


def read_json(path: Path) -> SetToCheck:
    """One of ImageNetV2's dataset files: ids and wnids alone."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(str(name), str(wnid)) for name, wnid in document["image_filenames"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: not one of ImageNetV2's dataset files (image_filenames): {error}"
        ) from error
    wnids = sorted({wnid for _, wnid in pairs})
    return SetToCheck(str(path), "json", [SetMember(*pair) for pair in pairs], names=_wordnet_names(wnids))


def read_revision(study: Study, name: str) -> SetToCheck:
    """A revision of a study, before it is released. Raises UsageError when there is none of this name."""
    if find(study.catalog, name) is None:
        known = ", ".join(names(study.catalog)) or "none"
        raise UsageError(f"{name!r} is neither a path nor a revision of {study.root}; its revisions: {known}")
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
    )


def _wordnet_names(wnids: Sequence[str]) -> dict[str, str]:
    """Class names from WordNet; none where the ids are not WordNet's, or it is not installed."""
    try:
        return {cls.wnid: cls.name for cls in classes_of(wnids)}
    except (ClassError, UsageError):
        return {}


def _published_id(file: Path) -> str | None:
    """The id that ImageNetV2 and newtest give to a photo, None for another name."""
    return file.stem if len(file.stem) == 40 and all(c in "0123456789abcdef" for c in file.stem) else None


def _inside(folder: Path, file: str) -> Path | None:
    """The image's own file; None when it lies inside a tar or Parquet file."""
    return folder / file if file.startswith("images/") and ".." not in Path(file).parts else None
