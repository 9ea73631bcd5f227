r"""One HTML file with the front end and its answers inside: it asks for nothing, so it opens from any disk, offline.

Three things keep it whole. What the page shows lies in it as JSON, which no browser runs, and in which every ``<`` is
written as ``\u003c``, so that no name of a column can end it. The module is the file's own script: no other is run,
for the page's Content-Security-Policy names the SHA-256 of that one, and of the stylesheet, and allows nothing else.
And nothing is fetched: the policy's ``default-src 'none'`` holds for every address.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version
from typing import Any, TypeAlias

from downslope.reporting.front import module, stylesheet
from downslope.types import JsonValue

Answers: TypeAlias = Sequence[tuple[Mapping[str, JsonValue], Sequence[bytes]]]
"""What a page holds: messages as a session would send them, each with its buffers."""
GENERATOR = '<meta name="generator" content="downslope '
"""What stands in the head of every file that was written here, and of no other."""

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
{generator}{version}">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<div id="downslope"></div>
<noscript>{words}</noscript>
<script type="application/json" id="downslope-page">{held}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def document(
    answers: Answers, *, title: str, words: str, language: str = "", known: Mapping[str, JsonValue] | None = None
) -> bytes:
    """Return a page that shows these answers, as the bytes of an HTML file.

    title: of the page. words: what is said where no script may run. language: ``en``, ``zh``, or empty for that of the
    reader's browser. known: what a host says first, such as the room of a replay page. Raises DownslopeError where the
    front end is not built.
    """
    script, style = _as_script(module()), stylesheet().replace("</", "<\\/")
    held: dict[str, Any] = {
        "known": {**(known or {}), **({"language": language} if language else {})},
        "answers": [_held(*each) for each in answers],
    }
    whole = _PAGE.format(
        language=language or "en", generator=GENERATOR, version=version("downslope"), title=escape(title),
        words=escape(words), policy=_policy(script, style), style=style, held=_as_data(held), script=script,
    )  # fmt: skip
    return whole.encode("utf-8", "replace")


def size_in_page(answer: Mapping[str, JsonValue], buffers: Sequence[bytes]) -> int:
    """Return how many bytes an answer takes in a page."""
    return len(_as_data(_held(answer, buffers)).encode())


def title_of(content: Mapping[str, Any]) -> str:
    """Return what the page of a record is called."""
    source, target = str(content.get("source") or ""), str(content.get("target") or "")
    named = " → ".join(each for each in (source.replace("\\", "/").rpartition("/")[2], target) if each)
    return named or str(content.get("run") or "Downslope")


def _held(answer: Mapping[str, JsonValue], buffers: Sequence[bytes]) -> dict[str, Any]:
    return {"answer": dict(answer), "buffers": [base64.b64encode(each).decode() for each in buffers]}


def _policy(script: str, style: str) -> str:
    return "; ".join(
        (
            "default-src 'none'", f"script-src {_hash(script)}", f"style-src {_hash(style)}", "img-src data: blob:",
            "base-uri 'none'", "form-action 'none'",
        )
    )  # fmt: skip


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _as_script(text: str) -> str:
    """Return a module as it may stand in HTML: no tag of a script in it, and the line ends that a browser hashes."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"<(?=/?script|!--)", r"\\x3c", text, flags=re.IGNORECASE)


def _as_data(held: Mapping[str, Any]) -> str:
    """Return values as JSON that holds no letter of HTML."""
    text = json.dumps(held, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
