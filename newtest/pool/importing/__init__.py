"""Make a pool of what is not one yet: a folder of images with captions, or tars without tables."""

from newtest.pool.importing.folder import Folder, import_folder, read_folder
from newtest.pool.importing.report import Imported, ImportReport
from newtest.pool.importing.tars import holds_tars, import_tars, is_tar, left_beside

__all__ = [
    "Folder", "ImportReport", "Imported", "holds_tars", "import_folder", "import_tars", "is_tar", "left_beside",
    "read_folder",
]  # fmt: skip
