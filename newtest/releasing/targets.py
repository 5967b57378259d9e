"""What ``check`` is pointed at: a release, a folder, ImageNetV2's JSON, or a revision of a study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from newtest.catalog.revisions import find
from newtest.errors import NotFoundError
from newtest.releasing.arrays import read_arrays
from newtest.releasing.evidence import Evidence, study_evidence
from newtest.releasing.sets import SetToCheck, read_folder, read_release, read_revision, read_table
from newtest.sets import is_release
from newtest.study import Study

__all__ = ["set_to_check"]

_OF_STUDY = "study:"


def set_to_check(target: str, study: Path) -> tuple[SetToCheck, Evidence]:
    """The set, and what its study knows of it where it is a revision. Of a path and a revision of one name the path is
    taken, and the set's note says so; ``study:NAME`` is the revision.

    Raises UsageError, ReleaseError, StudyError.
    """
    path = Path(target)
    if path.exists():
        return replace(_of_path(path), note=_shadowed(target, study)), Evidence()
    target = target.removeprefix(_OF_STUDY)
    if not (study / "study.sqlite").exists():
        raise NotFoundError(
            f"{target}: no such file or folder, and {study.resolve()} is not a study to have a revision of it"
        )
    with Study(study) as opened:
        return read_revision(opened, target), study_evidence(opened)


def _of_path(path: Path) -> SetToCheck:
    if path.is_dir():
        return (read_release if is_release(path) else read_folder)(path)
    return (read_arrays if path.suffix.lower() == ".npy" else read_table)(path)


def _shadowed(target: str, study: Path) -> str:
    """A sentence where the path that is checked has the name of a revision too."""
    if Path(target).name != target or not (study / "study.sqlite").exists():
        return ""
    with Study(study) as opened:
        if find(opened.catalog, target) is None:
            return ""
    return (
        f"{target} is a path here and also a revision of {study}: the path is checked; "
        f"{_OF_STUDY}{target} is the revision"
    )
