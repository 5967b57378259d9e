"""The bytes of an image that came, as they are to be kept: faces blurred and the picture resized, where that is asked.

Whatever cannot be done is written into the row's result, with img2dataset's word for it, and the image is not kept.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from newtest.errors import ImageError
from newtest.images import encode_jpeg, shown
from newtest.pool.resizing import Resize, resized

__all__ = ["Treatment", "failed"]


@dataclass(frozen=True)
class Treatment:
    """What is done to each image before it is kept."""

    blurs: bool = False
    resize: Resize | None = None

    def made(
        self, data: bytes, row: Mapping[str, Any], result: dict[str, Any], sha256: str | None = None
    ) -> bytes | None:
        """The bytes to keep, described in ``result``; None, and why in ``result``, where there are none.

        ``sha256`` is the digest of ``data``, where the caller knows it.
        """
        given = data
        try:
            if self.blurs and row.get("face_bboxes"):
                data = _blurred(data, row["face_bboxes"])
                result.update(format="JPEG", faces_blurred=len(row["face_bboxes"]))
            if self.resize is not None and (made := resized(data, self.resize)) is not None:
                data = made.data
                result.update(format=made.format, resized_width=made.width, resized_height=made.height)
        except ImageError as error:
            result.update(failed(error.kind, final=True, status="failed_to_resize"))
            return None
        except (TypeError, ValueError):
            result.update(failed("face-boxes", final=True, status="failed_to_resize"))
            return None
        known = sha256 if data is given else None
        result["sha256"] = known or hashlib.sha256(data).hexdigest()
        return data


def failed(kind: str, *, final: bool, status: str = "failed_to_download") -> dict[str, Any]:
    """img2dataset's words: it decodes each image, to resize it, and what is not an image fails there."""
    return {"status": status, "error": kind, "final": final, "sha256": None}


def _blurred(data: bytes, boxes: Any) -> bytes:
    """The image with its faces blurred, as JPEG; ``boxes`` are [left, top, right, bottom] as shares of the sides.

    Raises ImageError, and TypeError or ValueError for what are not boxes.
    """
    from PIL import ImageFilter

    image = shown(data)
    for box in boxes:
        edges = [max(0.0, min(1.0, float(edge))) for edge in box]
        if len(edges) != 4 or any(math.isnan(edge) for edge in map(float, box)):
            raise ValueError("a face is four numbers")
        (left, right), (top, bottom) = sorted(edges[::2]), sorted(edges[1::2])
        area = (
            int(left * image.width), int(top * image.height),
            max(int(left * image.width) + 1, round(right * image.width)),
            max(int(top * image.height) + 1, round(bottom * image.height)),
        )  # fmt: skip
        face = image.crop(area)
        image.paste(face.filter(ImageFilter.GaussianBlur(max(4, max(face.size) / 4))), area)
    return encode_jpeg(image, quality=95)
