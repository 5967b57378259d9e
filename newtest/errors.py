"""The error tree. Every error says what is wrong, where, and what to do about it, in one sentence.

::

    NewtestError                 exit code 1
    ├── UsageError               exit code 2: the call itself is wrong (unknown option value, malformed wnid)
    │   └── NotFoundError        exit code 1: what was named is not there (a file, a revision, an image, a class)
    ├── ConfigError              a configuration file or value cannot be used
    ├── MissingExtra             an optional dependency is not installed
    ├── StudyError               the study folder: missing, made by a newer version, open elsewhere
    ├── ClassError               unknown class, no WordNet, wrong WordNet
    ├── SourceError              a source refused, is down, or answered nonsense
    │   └── SourceUnavailable    nothing more can be asked of it in this run: key refused, network down, limit used up
    ├── ImageError               bytes that are not an image we accept (carries a short ``kind``)
    ├── VotesError               a votes table that cannot be true
    ├── SamplingError            a class that cannot be filled, an impossible configuration
    ├── ReleaseError             a release that cannot be written or does not check out
    ├── EvaluationError          predictions or accuracies that cannot be scored
    ├── PoolError                a pool, layer or subset that cannot be read
    │   └── FolderMissing        a worker's machine lacks a folder that the command sees
    ├── ClusterError             a cluster that cannot be reached, or that has no room
    └── WeightsError             a checkpoint that cannot be read, or checkpoints that do not fit each other

Failures of single items (one download, one image) are not exceptions but rows with a reason.
"""

from __future__ import annotations

__all__ = [
    "ClassError",
    "ClusterError",
    "ConfigError",
    "EvaluationError",
    "FolderMissing",
    "ImageError",
    "MissingExtra",
    "NewtestError",
    "NotFoundError",
    "PoolError",
    "ReleaseError",
    "SamplingError",
    "SourceError",
    "SourceUnavailable",
    "StudyError",
    "UsageError",
    "VotesError",
    "WeightsError",
]


class NewtestError(Exception):
    """Base of all errors that newtest raises on purpose; its text is fit to be shown to a user."""

    exit_code = 1


class UsageError(NewtestError):
    """The command or function was called in a way that can never work."""

    exit_code = 2


class NotFoundError(UsageError):
    """What was named is not there: a file, a folder, a revision, a reference, an image. The call may be right later."""

    exit_code = 1


class ConfigError(NewtestError):
    """A configuration file or value cannot be used."""


class MissingExtra(NewtestError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f'{package} is not installed; it comes with: pip install "newtest[{extra}]"')


class StudyError(NewtestError):
    """The study folder is missing, broken, made by a newer version or open in another process."""


class ClassError(NewtestError):
    """A class is unknown, or WordNet is missing or of the wrong version."""


class SourceError(NewtestError):
    """A source refused, is down, or answered something that is not its protocol."""


class SourceUnavailable(SourceError):
    """A source of which nothing more can be asked in this run: key refused, network down, limit used up."""


class ImageError(NewtestError):
    """Bytes that are not an image we accept.

    ``kind`` is a short fixed word for counting (``"not-an-image"``, ``"truncated"``, ``"too-many-pixels"``, ...).
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


class VotesError(NewtestError):
    """A votes table that cannot be true."""


class SamplingError(NewtestError):
    """A class that cannot be filled, or a configuration that contradicts itself."""


class ReleaseError(NewtestError):
    """A release that cannot be written, or that does not check out."""


class EvaluationError(NewtestError):
    """Predictions or accuracies that cannot be scored."""


class PoolError(NewtestError):
    """A pool, a layer or a subset that cannot be read."""


class FolderMissing(PoolError):
    """A folder that the command sees is not on the machine of a worker: the work may be done on another."""


class ClusterError(NewtestError):
    """A cluster that cannot be reached, refuses us, or has no room for a worker."""


class WeightsError(NewtestError):
    """A checkpoint that cannot be read (or is refused), or checkpoints that do not fit each other."""
