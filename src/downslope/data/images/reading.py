"""From any source of images to ``Images``: one array of pixels, and the labels beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow
from downslope.data.files import files_of
from downslope.data.images import kinds, stored
from downslope.data.images.labels import check_count, column_values, one_axis, read_labels
from downslope.data.images.parquet import read_pictures
from downslope.data.images.pictures import Picture, decode_all
from downslope.data.images.pixels import Images, as_pixels, resized
from downslope.data.objects import column_of, is_loaded
from downslope.errors import SourceError, TargetError, nearest

CLASS = "class"
"""What the labels of a folder are called where no other name is given."""


def read_images(source: object, target: object | None = None, *, resize: int | None = None) -> Images:
    """Read images into memory.

    source: an IDX or NPY file (also gzipped), an NPZ file, a folder with one subfolder of pictures per class, pictures
    by a glob or in one folder, Parquet files with a column of encoded pictures, an array (n, h, w[, c]), ``Images``, or
    a pair of any of these and an array of labels. target: the labels, unless they come with the source: an array, a
    file of one column, a key of the NPZ file, a column of the Parquet file; the classes of a folder are the names of
    its subfolders, whatever the target is called; None where there are none. resize: bring each image to that many
    pixels a side. Raises SourceError, TargetError.
    """
    pair = kinds.pair_of(source)
    if pair is not None:
        source, target = pair
    target = str(target) if isinstance(target, Path) else target
    if isinstance(source, Images):
        return _of_images(source, target, resize)
    if is_loaded(source):
        return _of_array(np.asarray(source), "the array", target, resize)
    name = str(source)
    kind = kinds.kind_of(name)
    if kind is None:
        message = f"{name} holds no images; give an idx, npy, npz or Parquet file of them, or a folder of pictures"
        raise SourceError(message)
    readers: dict[str, Callable[[str, object | None, int | None], Images]] = {
        kinds.ARRAY: _of_file,
        kinds.ARCHIVE: _of_archive,
        kinds.FOLDER: _of_folder,
        kinds.PICTURES: _of_pictures,
        kinds.PARQUET: _of_parquet,
    }
    return readers[kind](name, target, resize)


def _of_images(images: Images, target: object | None, resize: int | None) -> Images:
    """Return images that were read before, brought to a size, with labels given as an array in place of their own."""
    sized = images if resize is None else replace(images, pixels=resized(images.pixels, resize))
    if target is None or (isinstance(target, str) and images.target is not None):
        return sized
    labels, name = _labels(target, images.count, images.source)
    return replace(sized, target=labels, target_name=name)


def _of_array(array: NDArray[Any], source: str, target: object | None, resize: int | None) -> Images:
    pixels = as_pixels(array, source, resize)
    labels, name = _labels(target, pixels.shape[0], source)
    return Images(pixels, labels, source, name)


def _labels(target: object | None, count: int, source: str) -> tuple[NDArray[Any] | None, str]:
    """Return the labels that lie in a file of their own or are given as an array, and what they are called."""
    if target is None:
        return None, "target"
    labels, name = (read_labels(target, count), target) if isinstance(target, str) else (_given(target), "target")
    check_count(count, labels.shape[0], source, name if isinstance(target, str) else "the target")
    return labels, name


def _given(target: object) -> NDArray[Any]:
    try:
        return column_values(arrow().chunked_array([column_of(target)]))
    except (arrow().ArrowException, TypeError, ValueError):
        return one_axis(np.asarray(target), "the target")


def _of_file(source: str, target: object | None, resize: int | None) -> Images:
    (path,) = _only(source)
    return _of_array(stored.read_stored(path), source, target, resize)


def _only(source: str) -> list[Path]:
    """Return the one file of a source; raises SourceError where a glob means several."""
    paths = files_of(source)
    if len(paths) > 1:
        message = f"{source} means {len(paths)} files, but arrays of images are read from one; name it"
        raise SourceError(message)
    return paths


def _of_archive(source: str, target: object | None, resize: int | None) -> Images:
    (path,) = _only(source)
    archive = stored.open_archive(path)
    inside = isinstance(target, str) and target in archive.headers
    labels = one_axis(archive.read(str(target)), f'the array "{target}" of {source}') if inside else None
    key = _image_key(archive, None if labels is None else labels.shape[0])
    if labels is None:
        _check_target(archive, target)
        return _of_array(archive.read(key), source, target, resize)
    pixels = as_pixels(archive.read(key), source, resize)
    check_count(len(pixels), labels.shape[0], f'the array "{key}" of {source}', f'"{target}"')
    return Images(pixels, labels, source, str(target))


def _image_key(archive: stored.Archive, labels: int | None) -> str:
    """Return the name of the array of images: the only one, or the only one as long as the labels."""
    shapes = {name: each.shape for name, each in archive.headers.items() if each is not None and len(each.shape) > 2}
    if len(shapes) > 1:
        fitting = [name for name, shape in shapes.items() if shape[0] == labels]
        if len(fitting) == 1:
            return fitting[0]
        listed = ", ".join(f'"{name}"' for name in shapes)
        message = f"{archive.path} holds several arrays of images ({listed}); save the one meant in a file of its own"
        raise SourceError(message)
    if not shapes:
        message = f"{archive.path} holds no array of images, (n, height, width) or (n, height, width, channels)"
        raise SourceError(message)
    return next(iter(shapes))


def _check_target(archive: stored.Archive, target: object | None) -> None:
    if isinstance(target, str) and not Path(target).expanduser().is_file():
        hint = nearest(target, archive.headers)
        message = f'there is no target "{target}" in {archive.path}, nor a file of that name{hint}'
        raise TargetError(message)


def _of_folder(source: str, target: object | None, resize: int | None) -> Images:
    folder = Path(source).expanduser()
    found = {each.name: list(kinds.pictures_in(each)) for each in kinds.subfolders(folder)}
    paths = [path for each in found.values() for path in each]
    if not paths:
        message = (
            f"the folder {source} holds no pictures; put those of each class in a subfolder of its own, "
            f"as {', '.join(each.lstrip('.') for each in kinds.ENDINGS)}"
        )
        raise SourceError(message)
    if target is not None and (not isinstance(target, str) or Path(target).is_file()):
        message = f"the classes of {source} are the names of its subfolders; write --target {CLASS}"
        raise TargetError(message)
    labels = np.array([name for name, each in found.items() for _ in each], dtype=object)
    pixels, beside = _decoded(paths, folder, source, resize)
    return Images(pixels, labels, source, target or CLASS, beside)


def _decoded(paths: list[Path], folder: Path, source: str, resize: int | None) -> tuple[NDArray[Any], Any]:
    """Return the pixels of pictures, and a table of their names."""
    pixels = decode_all([Picture(str(each), each) for each in paths], source, resize)
    names = [each.relative_to(folder).as_posix() if each.is_relative_to(folder) else str(each) for each in paths]
    return pixels, arrow().table({"image": names})


def _of_pictures(source: str, target: object | None, resize: int | None) -> Images:
    folder = Path(source).expanduser()
    paths = list(kinds.pictures_in(folder)) if folder.is_dir() else files_of(source)
    if target is not None:
        message = f"nothing says the classes of the pictures in {source}; put each class in a subfolder of its own"
        raise TargetError(message)
    pixels, beside = _decoded(paths, folder, source, resize)
    return Images(pixels, None, source, beside=beside)


def _of_parquet(source: str, target: object | None, resize: int | None) -> Images:
    contents, column, beside = read_pictures(files_of(source), source)
    if not contents:
        message = f"{source} has a column of pictures but no rows; give at least one"
        raise SourceError(message)
    names = cast("list[str]", beside.column_names)
    inside = isinstance(target, str) and target in names
    if isinstance(target, str) and not inside and not Path(target).expanduser().is_file():
        message = f'there is no target "{target}" in {source}, nor a file of that name{nearest(target, names)}'
        raise TargetError(message)
    pictures = [Picture(f'row {row:,} of column "{column}" in {source}', each) for row, each in enumerate(contents, 1)]
    pixels = decode_all(pictures, source, resize)
    if inside:
        return Images(pixels, column_values(beside.column(target)), source, str(target), beside)
    labels, name = _labels(target, len(contents), source)
    return Images(pixels, labels, source, name, beside)
