"""Reports as files, which appear whole or not at all, and never in the place of what is no report."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from downslope.errors import OptionError
from downslope.reporting.one_file import GENERATOR, document, title_of
from downslope.views.page import page_of
from downslope.words import LANGUAGES, joined, say

HEAD = 4096
"""Bytes at the beginning of a file that say whether it is a report."""


def report(
    record: Any, path: str | Path, *, language: str = "", overwrite: bool = False, also: Sequence[Any] = ()
) -> Path:
    """Write the report of a record as one HTML file that opens anywhere, offline, and return its path.

    record: what fit, minimize, basins, race, sweep or loss_slice returned. path: an earlier report there is replaced;
    any other file only with overwrite. language: en, zh, or empty for that of the reader's browser; the page can
    change it. also: more records for the same page, such as slices of the loss, or runs to compare with.

    Raises OptionError for a path that is taken and a language that is not known, InputError for what is no record,
    OSError where the disk refuses.
    """
    target = Path(path)
    _check(target, overwrite=overwrite)
    _write(target, report_document([record, *also], language=language))
    return target


def report_document(records: Sequence[Any], *, language: str = "") -> bytes:
    """Return the page of records as the bytes of an HTML file; raises as ``report`` does."""
    if language and language not in LANGUAGES:
        message = say(
            'there is no language "{language}"; name one of {known}', language=language, known=joined(", ", LANGUAGES)
        )
        raise OptionError(message)
    packed = [page_of(each).packed() for each in records]
    first = packed[0][0]
    answers = [({"is": "run", "room": "", **content}, buffers) for content, buffers in packed]
    message = first.get("message")
    told = cast("Mapping[str, str]", message) if isinstance(message, dict) else dict[str, str]()
    words = told.get(language or "en", "This page needs JavaScript.")
    return document(answers, title=title_of(first), words=words, language=language)


def _check(path: Path, *, overwrite: bool) -> None:
    """Raise OptionError where a file may not be written: a folder, or one that is no report of ours."""
    if path.is_dir():
        message = say('"{path}" is a folder; name a file in it, such as "{example}"', path=path.as_posix(),
                      example=(path / "report.html").as_posix())  # fmt: skip
        raise OptionError(message)
    if overwrite or not path.exists():
        return
    with path.open("rb") as file:
        ours = GENERATOR.encode() in file.read(HEAD)
    if not ours:
        message = say('"{path}" is there and is no report; name another file, or allow it to be overwritten',
                      path=path.as_posix())  # fmt: skip
        raise OptionError(message)


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name[:100]}-{secrets.token_hex(4)}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
