"""Labels of images: a file of one column beside them."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downslope.data.files import format_of
from downslope.data.images import stored
from downslope.data.sources import read
from downslope.errors import SourceError, TargetError, nearest

TEXTS = (".csv", ".tsv", ".txt")


def read_labels(name: str, count: int) -> NDArray[Any]:
    """Return the labels (n,) in an IDX, NPY, NPZ or text file, or in a table of one column; raises SourceError.

    count: of the images; a text file of one more line has a header. Missing labels are None.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        known = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
        message = f"there is no file of labels {name}{nearest(path.name, known)}; name one with --target"
        raise TargetError(message)
    if stored.is_zip(path):
        return _of_archive(path)
    header = stored.header_in(path)
    if header is not None:
        return one_axis(stored.read_stored(path), name)
    if "".join(path.suffixes[-1:] if path.suffix != ".gz" else path.suffixes[-2:-1]).lower() in TEXTS:
        return _of_text(path, count)
    return _of_table(path)


def one_axis(labels: NDArray[Any], what: str) -> NDArray[Any]:
    """Return labels (n,) of an array (n,) or (n, 1); raises TargetError."""
    flat = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1:
        message = f"{what} has the shape {labels.shape}, but labels are one for each image, (n,); give those"
        raise TargetError(message)
    return flat


def check_count(images: int, labels: int, source: str, target: str) -> None:
    """Raise TargetError where there is not one label for each image."""
    if images != labels:
        message = f"{source} holds {images:,} images, but {target} holds {labels:,} labels; give one label for each"
        raise TargetError(message)


def _of_archive(path: Path) -> NDArray[Any]:
    archive = stored.open_archive(path)
    flat = [name for name, header in archive.headers.items() if header is not None and len(header.shape) == 1]
    if len(flat) != 1:
        what = f"holds {len(flat)} arrays of one axis" if flat else "holds no array of one axis"
        message = f"{path} {what}, so it does not say which are the labels; save them alone in a file"
        raise TargetError(message)
    return archive.read(flat[0])


def _of_text(path: Path, count: int) -> NDArray[Any]:
    """Return the lines of a text as whole numbers where all are, else floats, else words."""
    rows = _rows(path)
    while rows and not rows[-1]:
        rows.pop()
    wide = next((index for index, row in enumerate(rows) if len(row) > 1), None)
    if wide is not None:
        message = f"line {wide + 1:,} of {path} has {len(rows[wide])} columns, but labels are one column; keep that one"
        raise TargetError(message)
    words = [row[0].strip() if row else "" for row in rows]
    if len(words) == count + 1 or (len(words) > 1 and _numbers(words) is None and _numbers(words[1:]) is not None):
        words = words[1:]
    numbers = _numbers(words)
    return np.array([each or None for each in words], dtype=object) if numbers is None else numbers


def _rows(path: Path) -> list[list[str]]:
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(cast("Any", file), delimiter=delimiter))
    except UnicodeDecodeError:
        message = f"{path} is not UTF-8 text; convert it first, for example with: iconv -f GBK -t UTF-8"
        raise SourceError(message) from None
    except (*stored.BROKEN, csv.Error) as error:
        message = f"{path} cannot be read as labels: {str(error).splitlines()[0]}"
        raise SourceError(message) from None


def _numbers(words: list[str]) -> NDArray[Any] | None:
    """Return words as whole numbers or floats, None where one is neither or missing."""
    for kind in (np.int64, np.float64):
        try:
            return np.array([kind(each) for each in words])
        except (ValueError, OverflowError):
            continue
    return None


def _of_table(path: Path) -> NDArray[Any]:
    if not format_of(path)[0]:
        message = f"{path} holds no labels that can be read; give an idx, npy, npz, csv or txt file of one column"
        raise TargetError(message)
    table = read(path)
    if len(table.names) != 1:
        message = f"{path} has {len(table.names)} columns, but labels are one column; keep that one"
        raise TargetError(message)
    return column_values(table.arrow.column(0))


def column_values(column: Any) -> NDArray[Any]:
    """Return an Arrow column as an array; with missing values one of objects, in which those are None."""
    if column.null_count:
        return np.array(column.to_pylist(), dtype=object)
    return cast("NDArray[Any]", column.to_numpy())
