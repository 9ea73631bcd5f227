"""Which kind of images a source is, by a look at its first bytes."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from downslope.data.files import files_of, format_of
from downslope.data.images import stored
from downslope.data.images.parquet import picture_column
from downslope.data.images.pixels import Images
from downslope.data.objects import is_loaded
from downslope.errors import SourceError

ARRAY, ARCHIVE, FOLDER, PICTURES, PARQUET = "array", "archive", "folder", "pictures", "parquet"
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""Names of pictures end so."""
LEAST_AXES = 3
"""Of an array of images: (n, height, width)."""


def is_images(source: object) -> bool:
    """Say whether a source is images and not a table, by names and first bytes alone.

    source: a path, glob or folder, or an object; an array of three or four axes is images, and so is a pair of images
    and their labels.
    """
    if isinstance(source, Images) or pair_of(source) is not None:
        return True
    if is_loaded(source):
        return not hasattr(source, "columns") and int(getattr(source, "ndim", 0)) in (LEAST_AXES, LEAST_AXES + 1)
    return bool(str(source)) and kind_of(str(source)) is not None


def pair_of(source: object) -> tuple[object, object] | None:
    """Return images and their labels where a source is a pair of them, else None."""
    pair = cast("tuple[object, ...]", source) if isinstance(source, tuple) else ()
    return (pair[0], pair[1]) if len(pair) == 2 and is_images(pair[0]) else None


def kind_of(source: str) -> str | None:
    """Return the kind of images that a path, glob or folder means, None where it is none."""
    path = Path(source).expanduser()
    if path.is_dir():
        return _kind_of_folder(path)
    paths = [path] if path.is_file() else _matching(source)
    if not paths:
        return None
    try:
        return _kind_of_file(paths[0])
    except (SourceError, OSError):
        return None  # the reader of tables says what is wrong


def _matching(source: str) -> list[Path]:
    if not glob.has_magic(source):
        return []
    return sorted(Path(each) for each in glob.iglob(str(Path(source).expanduser()), recursive=True))


def _kind_of_file(path: Path) -> str | None:
    if is_picture(path):
        return PICTURES
    promised = format_of(path)[0]
    if promised:
        return PARQUET if promised == "Parquet" and _holds(path) else None
    if stored.is_zip(path):
        return ARCHIVE if path.suffix.lower() == ".npz" and _holds_images(path) else None
    header = stored.header_in(path)
    if header is None:
        return ARCHIVE if path.suffix.lower() == ".npz" else None
    return ARRAY if len(header.shape) >= LEAST_AXES else None


def _holds_images(path: Path) -> bool:
    """Say whether an archive holds an array of images, or is broken, which the reader of images says better."""
    try:
        headers = stored.open_archive(path).headers
    except SourceError:
        return True
    return any(each is not None and len(each.shape) >= LEAST_AXES for each in headers.values())


def _kind_of_folder(folder: Path) -> str | None:
    """Return the kind of a folder: tables first, as ever; then pictures in subfolders, or in it."""
    tables = _tables(folder)
    if any(each.parent == folder and each.suffix != ".txt" for each in tables):
        return _kind_of_tables(tables)
    if any(True for each in subfolders(folder) for _ in pictures_in(each)):
        return FOLDER
    if sum(1 for _ in pictures_in(folder)) > len(tables):
        return PICTURES
    if tables:
        return _kind_of_tables(tables)
    return FOLDER if subfolders(folder) else None


def _tables(folder: Path) -> list[Path]:
    try:
        return files_of(str(folder))
    except SourceError:
        return []


def _kind_of_tables(tables: list[Path]) -> str | None:
    return PARQUET if all(format_of(each)[0] == "Parquet" for each in tables) and _holds(tables[0]) else None


def _holds(path: Path) -> bool:
    return picture_column(path) is not None


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name; those that begin with a dot or underscore are not meant."""
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith((".", "_")))


def pictures_in(folder: Path) -> Iterator[Path]:
    """Yield the pictures in a folder and below, those of each folder sorted by name."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith((".", "_")))
        yield from (Path(where, each) for each in sorted(names) if is_picture(Path(each)))


def is_picture(path: Path) -> bool:
    """Say whether a name is that of a picture."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith((".", "_"))
