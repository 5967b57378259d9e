"""Pictures for a page: a stranger's bytes become a small JPEG of ours, or nothing."""

from __future__ import annotations

import base64
import io
import warnings

__all__ = ["MAX_PIXELS", "data_uri"]

MAX_PIXELS = 50_000_000
_SIDE = 180


def data_uri(data: bytes) -> str | None:
    """A ``data:image/jpeg`` address of at most 180 pixels a side, orientation applied; None for what is no picture.

    Re-encoding leaves behind whatever else the file carried. Small pictures (digits, icons) are enlarged without blur.
    """
    from PIL import Image, ImageOps

    try:
        with (
            warnings.catch_warnings(),
            Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF", "BMP")) as opened,
        ):
            warnings.simplefilter("ignore")
            if opened.width * opened.height > MAX_PIXELS:
                return None
            opened.draft("RGB", (2 * _SIDE, 2 * _SIDE))
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if max(image.size) <= _SIDE // 4:
        factor = _SIDE // 2 // max(image.size)
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
