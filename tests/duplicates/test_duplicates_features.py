"""Features of a network: EfficientNet-Lite0 with its real weights on real photos."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from newtest.clip.encoder import encoder
from newtest.duplicates import scan
from newtest.duplicates.features import feature_metric, measure_features
from newtest.errors import UsageError


def test_features_find_what_pixels_do_not(builder, data: Path) -> None:
    photos = [path.read_bytes() for path in sorted((data / "images").glob("*.JPEG"))[:8]]
    builder.add_all({f"p{i}": content for i, content in enumerate(photos)})
    turned = ImageOps.mirror(Image.open(BytesIO(photos[0])).convert("RGB")).rotate(6, fillcolor="gray")
    buffer = BytesIO()
    turned.save(buffer, "JPEG")
    builder.add("turned", buffer.getvalue(), reference="val")
    builder.add("broken", b"no picture")
    study, model = builder.study, encoder("conse")
    assert scan(study).new_pairs == {"bytes": 0, "dct144-1": 0}
    assert measure_features(study, model, limit=0.3) == {"pool": 0, "reference:val": 1}
    metric = feature_metric(model)
    row = study.catalog.execute("SELECT * FROM neighbours WHERE metric = ?", (metric,)).fetchone()
    assert (row["image_a"], row["image_b"]) == ("p0", "turned") and 0 < row["distance"] < 0.3
    done = study.catalog.execute(
        "SELECT count(*) FROM compared WHERE metric = ? AND image_id = 'broken'", (metric,)
    )
    assert done.fetchone()[0] == 0
    assert measure_features(study, model, limit=0.3) == {"pool": 0, "reference:val": 0}
    with pytest.raises(UsageError, match=r"0\.\.1"):
        measure_features(study, model, limit=1.5)
