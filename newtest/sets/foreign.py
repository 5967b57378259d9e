"""Names that a set never means: what systems and tools leave behind in folders and archives."""

from __future__ import annotations

from pathlib import PurePosixPath

__all__ = ["is_foreign", "is_foreign_path"]

_FOREIGN = frozenset(
    {
        "__macosx",  # archives made on a Mac
        "__pycache__",
        "__newtest",  # what newtest stores beside a pool
        "@eadir",  # Synology
        "#recycle",
        "@recycle",  # QNAP
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "icon\r",
    }
)


def is_foreign(name: str) -> bool:
    """Whether one name, of a file or a folder, is hidden (it begins with a dot: ``.DS_Store``, ``._photo.jpg``,
    ``.ipynb_checkpoints``) or one that a system or tool made for itself.
    """
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in _FOREIGN


def is_foreign_path(path: str) -> bool:
    """Whether any part of a path with ``/`` is foreign; so is all that lies in a foreign folder."""
    return any(map(is_foreign, PurePosixPath(path).parts))
