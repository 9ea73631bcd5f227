"""Files: which ones a path, glob or folder means, of which format, and what to say when one is broken."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downslope.data.arrow import arrow
from downslope.data.database import connection, literal, selected, sentence
from downslope.data.parquet import read_plain, schema_of
from downslope.data.text.entries import SVMLIGHT, VOWPAL_WABBIT
from downslope.errors import ColumnError, SourceError, nearest
from downslope.words import Sentence, say

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

FORMATS = {
    ".csv": "CSV", ".tsv": "TSV", ".txt": "CSV", ".json": "JSON", ".ndjson": "JSON", ".jsonl": "JSON",
    ".svm": SVMLIGHT, ".svmlight": SVMLIGHT, ".libsvm": SVMLIGHT, ".vw": VOWPAL_WABBIT,
    ".parquet": "Parquet", ".pq": "Parquet", ".arrow": "Arrow", ".feather": "Arrow", ".ipc": "Arrow",
}  # fmt: skip
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
MAGIC = {b"PAR1": "Parquet", b"ARROW1": "Arrow", b"\x1f\x8b": "", b"PK\x03\x04": "", b"SQLite": ""}
_STANDARD_QUOTES = ("quote = '\"'", "escape = '\"'")  # RFC 4180; fewer dialects to try: sniffed twice as fast
SMALL = 4096  # bytes: a file up to this size is looked at for being blank


def format_of(path: Path) -> tuple[str, str | None]:
    """Return the format and the compression that the name of a file promises; "" where it promises none."""
    compression = COMPRESSIONS.get(path.suffix.lower())
    stem = path.with_suffix("") if compression else path
    return FORMATS.get(stem.suffix.lower(), ""), compression


def files_of(source: str) -> list[Path]:
    """Return the files that a path, glob or folder means, sorted; raises SourceError where there are none."""
    if re.match(r"\w[\w+.-]+://", source):
        message = say(
            "{source} is an address, and nothing is fetched over the network; save it to a file first", source=source
        )
        raise SourceError(message)
    path = Path(source).expanduser()
    if path.is_dir():
        found = sorted(_tables_in(path))
        if not found:
            message = say(
                "the folder {source} holds no table; expected one of {formats}",
                source=source,
                formats=", ".join(FORMATS),
            )
            raise SourceError(message)
        return found
    if path.exists():
        return [path]
    if glob.has_magic(source):
        found = sorted(Path(each) for each in glob.glob(str(path), recursive=True) if Path(each).is_file())
        if not found:
            message = say("no file matches {source}; check the folder and the pattern", source=source)
            raise SourceError(message)
        return found
    message = say("no such file: {source}{neighbours}", source=source, neighbours=_neighbours(path))
    raise SourceError(message)


def _tables_in(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith((".", "_"))]
        for name in names:
            path = Path(where, name)
            if not name.startswith((".", "_")) and format_of(path)[0]:
                yield path


def _neighbours(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return say(", because there is no folder {folder}", folder=str(folder))
    return nearest(path.name, sorted(each.name for each in folder.iterdir() if not each.name.startswith(".")))


def formats_of(source: str) -> tuple[list[Path], str]:
    """Return the files that ``source`` means, and their one format; raises SourceError."""
    paths = files_of(source)
    formats = {_checked_format(path) for path in paths}
    if len(formats) > 1:
        message = say(
            "{source} holds files of different formats ({formats}); name one with a glob",
            source=source,
            formats=", ".join(sorted(formats)),
        )
        raise SourceError(message)
    return paths, formats.pop()


def holds_entries(source: str) -> bool:
    """Return whether a path, glob or folder means files whose rows begin with a label and name their features."""
    sparse = (SVMLIGHT, VOWPAL_WABBIT)
    path = Path(source).expanduser()
    if not path.is_dir() and (path.exists() or not glob.has_magic(source)):
        return format_of(path)[0] in sparse
    try:
        return formats_of(source)[1] in sparse
    except SourceError:
        return False


def read_files(source: str, *, where: str | None, drop: Sequence[str]) -> Any:
    """Return the rows of the files that ``source`` means as one ``pyarrow.Table``; raises SourceError."""
    paths, only = formats_of(source)
    try:
        return _read(paths, only, source, where, drop)
    except _failures() as error:
        if where is not None and _reads(paths, only, source):
            message = say("--where does not work: {error}", error=sentence(error))
            raise SourceError(message) from None
        raise SourceError(_complaint(paths, source, only, error)) from None


def _reads(paths: list[Path], only: str, source: str) -> bool:
    """Return whether the files can be read without a condition, so that the condition is to blame."""
    try:
        _read(paths, only, source, None, ())
    except _failures():
        return False
    return True


def _failures() -> tuple[type[Exception], ...]:
    """Return what a reader raises; looked up only when something is raised, so that no reader is imported for it."""
    import duckdb

    return (duckdb.Error, arrow().ArrowException, OSError, EOFError)


def _read(paths: list[Path], only: str, source: str, where: str | None, drop: Sequence[str]) -> Any:
    if where is None:
        table = _without_database(paths, only, source, drop)
        if table is not None:
            return table
    import duckdb

    try:
        return _select(_relation(paths, only, careful=False), paths, only, source, where, drop)
    except (duckdb.ConversionException, duckdb.InvalidInputException):
        if only not in ("CSV", "TSV", "JSON"):
            raise
        # Quotes are of another kind, or the first rows promised another type than later ones hold.
        return _select(_relation(paths, only, careful=True), paths, only, source, where, drop)


def _without_database(paths: list[Path], only: str, source: str, drop: Sequence[str]) -> Any:
    """Return what PyArrow alone reads as well or better, or None."""
    if _only_arrow(paths, only):
        table = _open_arrow(paths, only)
        check_drop(table.column_names, drop, source)
        return table.select([index for index, name in enumerate(table.column_names) if name not in drop])
    if only != "Parquet" or len(paths) > 1:
        return None
    check_drop(schema_of(paths[0]).names, drop, source)
    return read_plain(paths[0], drop)


def _only_arrow(paths: list[Path], only: str) -> bool:
    return only == "Arrow" or (only == "Parquet" and any(format_of(path)[1] for path in paths))


def _select(
    relation: DuckDBPyRelation, paths: list[Path], only: str, source: str, where: str | None, drop: Sequence[str]
) -> Any:
    names = _own_names(relation.columns, paths, only)
    check_drop(names, drop, source)
    return selected(relation, names, where=where, drop=drop, rename=names != relation.columns)


def check_drop(names: Sequence[str], drop: Sequence[str], source: str) -> None:
    """Raise ColumnError unless every column to leave out is there."""
    for name in drop:
        if name not in names:
            message = say(
                'there is no column "{name}" to drop in {source}{nearest}',
                name=name,
                source=source,
                nearest=nearest(name, names),
            )
            raise ColumnError(message)
    if names and set(names) <= set(drop):
        message = say("{source} has no columns left, because each of them is dropped; drop fewer", source=source)
        raise SourceError(message)


def _own_names(names: list[str], paths: list[Path], only: str) -> list[str]:
    if only != "Parquet" or len(paths) > 1 or not any(re.search(r"_\d+$", name) for name in names):
        return names
    own: list[str] = list(schema_of(paths[0]).names)
    return own if len(own) == len(names) == len(set(own)) else names


def _relation(paths: list[Path], only: str, *, careful: bool) -> DuckDBPyRelation:
    """Return the rows of files as a relation; ``careful`` looks at all rows before it settles the types."""
    if _only_arrow(paths, only):
        return connection().from_arrow(_open_arrow(paths, only))
    options = ["union_by_name = true"] if len(paths) > 1 else []
    if only != "Parquet" and careful:
        options.append("sample_size = -1")
    if only == "TSV":
        options.append("delim = '\t'")
    if only in ("CSV", "TSV") and not careful:
        options += _STANDARD_QUOTES
    reader = {"Parquet": "read_parquet", "JSON": "read_json"}.get(only, "read_csv")
    listed = ", ".join(literal(str(path)) for path in paths)
    return connection().sql(f"select * from {reader}({', '.join([f'[{listed}]', *options])})")


def _open_arrow(paths: list[Path], only: str) -> Any:
    tables = [_arrow_file(path, only) for path in paths]
    return tables[0] if len(tables) == 1 else arrow().concat_tables(tables, promote_options="permissive")


def _arrow_file(path: Path, only: str) -> Any:
    pyarrow = arrow()
    packed = format_of(path)[1]
    if packed:
        with pyarrow.input_stream(str(path), compression=packed) as stream:
            source = pyarrow.BufferReader(stream.read())
    else:
        source = pyarrow.memory_map(str(path))
    if only == "Parquet":
        # Not by read_table: its threads may hold a buffer of Python's while the interpreter ends, which aborts it.
        return import_module("pyarrow.parquet").ParquetFile(source).read()
    try:
        return pyarrow.ipc.open_file(source).read_all()
    except pyarrow.ArrowInvalid:
        source.seek(0)
        return pyarrow.ipc.open_stream(source).read_all()


def _checked_format(path: Path) -> str:
    """Return the format of one file, after a look at its size and first bytes; raises SourceError."""
    promised, compression = format_of(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(SMALL)
    except OSError as error:
        message = say("{path} cannot be opened: {reason}", path=str(path), reason=error.strerror or str(error))
        raise SourceError(message) from None
    if size == 0 or (not compression and size <= SMALL and not head.strip()):
        message = say("{path} is empty; give a file with a header and rows", path=str(path))
        raise SourceError(message)
    if promised:
        return promised
    looks = next((each for magic, each in MAGIC.items() if head.startswith(magic)), "CSV")
    if not looks or (b"\0" in head[:512] and looks == "CSV"):
        message = say(
            "{path} is in no format that can be read; expected one of {formats}",
            path=str(path),
            formats=", ".join(FORMATS),
        )
        raise SourceError(message)
    return looks


def _complaint(paths: list[Path], source: str, only: str, error: Exception) -> Sentence:
    text = sentence(error)
    broken = next((str(path) for path in paths if str(path) in text), str(paths[0]) if len(paths) == 1 else source)
    if only in ("Parquet", "Arrow"):
        return say(
            "{path} is not a whole {format} file: it is truncated, damaged, or of another format; write it again",
            path=broken,
            format=only,
        )
    if re.search(r"gzip|zstd|zlib|decompress", text, re.IGNORECASE):
        return say(
            "{path} is not a whole compressed file: it is truncated or not compressed at all; fetch it again",
            path=broken,
        )
    if re.search(r"unicode|utf-?8", text, re.IGNORECASE):
        return say("{path} is not UTF-8 text; convert it first, for example with: iconv -f GBK -t UTF-8", path=broken)
    return say("{path} cannot be read as {format}: {reason}", path=broken, format=only, reason=text)
