"""FiftyOne's own importer over a release's ``fiftyone`` folder. By hand, because FiftyOne is 1 GB:

python -m venv fiftyone && fiftyone/bin/pip install fiftyone==1.22.1
fiftyone/bin/python tests/conformance/fiftyone_by_hand.py RELEASE/fiftyone

Its importer needs no database; to make a Dataset of it, MongoDB is needed, and was not tried.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Raises AssertionError where FiftyOne sees other images, classes or votes than the folder holds."""
    import fiftyone  # type: ignore[import-not-found, unused-ignore]
    import fiftyone.utils.data as its  # type: ignore[import-not-found, unused-ignore]

    told = json.loads((folder / "labels.json").read_text("utf-8"))
    importer = its.FiftyOneImageClassificationDatasetImporter(dataset_dir=str(folder))
    importer.setup()
    seen = {Path(path).stem: label for path, _, label in importer}
    assert importer.get_dataset_info()["classes"] == told["classes"]
    assert set(seen) == set(told["labels"]) == {path.stem for path in (folder / "data").iterdir()}
    for stem, label in seen.items():
        wanted = told["labels"][stem]
        assert label.label == wanted["label"], stem
        assert all(label[name] == value for name, value in wanted["attributes"].items()), stem
    print(
        f"FiftyOne {fiftyone.__version__}: {len(seen)} images of {len(told['classes'])} classes, as written"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
