"""Make a pool of what is none yet: a folder of images with captions, or tars without tables."""

from newtest.pool.importing.folder import Folder, import_folder, read_folder
from newtest.pool.importing.report import Imported, ImportReport
from newtest.pool.importing.tars import import_tars, is_tar

__all__ = ["Folder", "ImportReport", "Imported", "import_folder", "import_tars", "is_tar", "read_folder"]
