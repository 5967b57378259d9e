"""What ``check`` is pointed at: a release, a folder, ImageNetV2's JSON, or a revision of a study."""

from __future__ import annotations

from pathlib import Path

from newtest.errors import UsageError
from newtest.releasing.arrays import read_arrays
from newtest.releasing.evidence import Evidence, study_evidence
from newtest.releasing.sets import SetToCheck, read_folder, read_release, read_revision, read_table
from newtest.study import Study

__all__ = ["set_to_check"]


def set_to_check(target: str, study: Path) -> tuple[SetToCheck, Evidence]:
    """The set, and what its study knows of it where it is a revision. Raises UsageError, ReleaseError, StudyError."""
    path = Path(target)
    if path.is_dir():
        return (read_release if (path / "SHA256SUMS").exists() else read_folder)(path), Evidence()
    if path.suffix.lower() == ".npy" and path.is_file():
        return read_arrays(path), Evidence()
    if path.exists():
        return read_table(path), Evidence()
    if not (study / "study.sqlite").exists():
        raise UsageError(
            f"{target}: no such file or folder, and {study.resolve()} is no study to have a revision of it"
        )
    with Study(study) as opened:
        return read_revision(opened, target), study_evidence(opened)
