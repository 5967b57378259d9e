"""Pairs of image and class as tasks of Label Studio, with pictures that its pages can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from newtest.catalog.crowd import file_of
from newtest.catalog.quality import class_names, pairs
from newtest.crowd.server.worker_images import Pictures
from newtest.errors import ImageError
from newtest.study import Study
from newtest.web.keys import Keys

__all__ = ["LOCAL_FILES", "Tasks", "label_studio_tasks"]

LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio serves files of LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT."""


@dataclass(frozen=True)
class Tasks:
    """Tasks, and the images that are in none: image id -> reason."""

    tasks: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, str] = field(default_factory=dict)


def label_studio_tasks(study: Study, prefix: str = LOCAL_FILES) -> Tasks:
    """One task a pair of image and class of the study, by (wnid, image_id).

    ``data.image`` is the prefix and the picture's path in the study's folder; pictures (JPEG, longer side 500 pixels)
    are made where they are missing. ``data.image_id`` and ``data.wnid`` lead the answers back.
    """
    pictures = Pictures(study.root, Keys(study.secret_for("label-studio")))
    names = class_names(study.catalog)
    tasks: list[Mapping[str, Any]] = []
    left_out: dict[str, str] = {}
    paths: dict[str, str] = {}
    table = pairs(study.catalog).sort_values(["wnid", "image_id"])
    for image_id, wnid in zip(table["image_id"], table["wnid"], strict=True):
        if image_id not in paths and image_id not in left_out:
            sha256 = file_of(study.catalog, image_id)
            try:
                path = pictures.prepare(sha256) if sha256 else None
            except (OSError, ImageError) as error:
                left_out[image_id] = str(error)
                continue
            if path is None:
                left_out[image_id] = "its bytes are not here: newtest fetch gets them"
                continue
            paths[image_id] = path.relative_to(study.root).as_posix()
        if image_id in paths:
            shown = {"image": f"{prefix}{paths[image_id]}", "image_id": image_id, "wnid": wnid}
            tasks.append({"data": {**shown, "class_name": names.get(wnid, wnid)}})
    return Tasks(tasks, left_out)
