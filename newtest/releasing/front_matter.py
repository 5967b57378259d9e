"""The front matter of a card: what Hugging Face's hub and its ``datasets`` library read of a folder.

``datasets`` reads one kind of files in a folder. So the card of the release speaks of its first format, and a further
format, and one of tars or tables, has a small card in its own folder: ``load_dataset("RELEASE/parquet")``. Each has one
split, ``test``. The keys are those of huggingface.co/docs/hub/datasets-cards and of datasets 5.2
(``configs``, ``dataset_info``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from newtest.licenses import parse_license
from newtest.releasing.members import Member

__all__ = ["format_card", "front_matter"]

_PLACES = {
    "imagefolder": ("images", ("**",)),
    "webdataset": ("shards", ("*.tar",)),
    "parquet": ("parquet", ("*.parquet",)),
    "csv": ("images", ("**",)),
    "fiftyone": ("fiftyone", ("data/*", "metadata.parquet")),
}
"""What datasets loads of a format: its folder, and the files in it."""
_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_SIZE_NAMES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M")
_TEXT, _INTEGER, _NUMBER = "string", "int64", "float64"
_COUNTS = (("num_selected", _INTEGER), ("num_shown", _INTEGER), ("frequency", _NUMBER))


def front_matter(
    name: str, members: Sequence[Member], labels: Sequence[str], formats: Sequence[str], image_suffix: str
) -> str:
    """The YAML between two lines of dashes. Values are written as JSON, which is YAML: no name can break it.

    ``labels``: class names by label. ``image_suffix``: of the images in the tars, with its dot.
    """
    loaded = [form for form in formats if form in _PLACES]
    about: dict[str, Any] = {
        "pretty_name": name,
        **_license(members),
        "task_categories": ["image-classification"],
        "size_categories": [_SIZE_NAMES[sum(len(members) >= bound for bound in _SIZES)]],
        "tags": ["newtest"],
    }
    if loaded:
        folder, files = _PLACES[loaded[0]]
        about |= _loading(loaded[0], labels, image_suffix, [f"{folder}/{file}" for file in files])
    return _yaml(about)


def format_card(form: str, name: str, labels: Sequence[str], image_suffix: str) -> tuple[str, str] | None:
    """Where the card of a format's own folder lies, and the card; None for formats without one."""
    if form not in _PLACES or form == "csv":
        return None
    folder, files = _PLACES[form]
    text = _yaml({"pretty_name": name} | _loading(form, labels, image_suffix, files))
    return f"{folder}/README.md", f"{text}The card of this set is in the folder above.\n"


def _loading(form: str, labels: Sequence[str], image_suffix: str, files: Sequence[str]) -> dict[str, Any]:
    path = files[0] if len(files) == 1 else list(files)
    return {
        "configs": [{"config_name": "default", "data_files": [{"split": "test", "path": path}]}],
        "dataset_info": [{"config_name": "default", "features": _features(form, labels, image_suffix)}],
    }


def _yaml(values: dict[str, Any]) -> str:
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value]
    return "\n".join(["---", *lines, "---", ""])


def _features(form: str, labels: Sequence[str], image_suffix: str) -> list[dict[str, Any]]:
    label = {"class_label": {"names": {str(at): name for at, name in enumerate(labels)}}}
    if form == "webdataset":
        inside = [("image_id", _TEXT), ("wnid", _TEXT), ("sha256", _TEXT), *_COUNTS]
        return [
            {"name": image_suffix.lstrip("."), "dtype": "image"},
            {"name": "cls", "dtype": label},
            {"name": "json", "struct": [{"name": name, "dtype": dtype} for name, dtype in inside]},
            {"name": "__key__", "dtype": _TEXT},
            {"name": "__url__", "dtype": _TEXT},
        ]
    texts = ("wnid", "image_id", "sha256") if form == "parquet" else ("wnid", "image_id")
    return [
        {"name": "image", "dtype": "image"},
        {"name": "label", "dtype": label},
        *({"name": name, "dtype": _TEXT} for name in texts),
        *({"name": name, "dtype": dtype} for name, dtype in _COUNTS),
    ]


def _license(members: Sequence[Member]) -> dict[str, Any]:
    """The hub's name of the one licence that all images have; where they differ, "other" and where to look."""
    names = {_hub_license(member.row.license) for member in members}
    if len(names) == 1 and (only := names.pop()) is not None:
        return {"license": only}
    return {"license": "other", "license_name": "per-image", "license_link": "ATTRIBUTION.md"}


def _hub_license(text: str | None) -> str | None:
    """``cc-by-2.0`` and its kind are names that the hub knows; None for what it does not."""
    found = parse_license(text)
    if found is None:
        return None
    if found.name == "cc0":
        return "cc0-1.0"
    return f"cc-{found.name}-{found.version}" if found.name.startswith("by") and found.version else None
