"""Pictures for a page: a stranger's bytes become a small JPEG of ours, or nothing."""

from __future__ import annotations

import base64

from newtest.errors import ImageError
from newtest.images import encode_jpeg, shown

__all__ = ["data_uri"]

_SIDE = 180


def data_uri(data: bytes) -> str | None:
    """A ``data:image/jpeg`` address of at most 180 pixels per side, orientation applied; None for what is not a
    picture.

    Re-encoding leaves behind whatever else the file carried. Small pictures (digits, icons) are enlarged without blur.
    """
    from PIL import Image

    try:
        image = shown(data, within=_SIDE)
    except ImageError:
        return None
    if max(image.size) <= _SIDE // 4:
        factor = _SIDE // 2 // max(image.size)
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image, quality=82)).decode()
