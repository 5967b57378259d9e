"""One reader of image sets for every command: class folders, dataset files, foreign names, and what is left out."""

from newtest.sets.census import Census, LeftOut
from newtest.sets.dataset_json import is_dataset, pairs_of, read_document
from newtest.sets.foreign import is_foreign, is_foreign_path
from newtest.sets.imagefolder import ClassFolders, FolderImage, ids_of, read_class_folders
from newtest.sets.packed import archive_of, image_at
from newtest.sets.reading import ImageSet, SetImage, is_release, of_class_folders, read_image_set
from newtest.sets.tables import read_rows
from newtest.sets.walking import Walked, walk

__all__ = [
    "Census",
    "ClassFolders",
    "FolderImage",
    "ImageSet",
    "LeftOut",
    "SetImage",
    "Walked",
    "archive_of",
    "ids_of",
    "image_at",
    "is_dataset",
    "is_foreign",
    "is_foreign_path",
    "is_release",
    "of_class_folders",
    "pairs_of",
    "read_class_folders",
    "read_document",
    "read_image_set",
    "read_rows",
    "walk",
]
