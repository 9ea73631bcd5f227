"""The front end and the engine agree on what is said, and the built front end is as small as promised."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest

from tools import front_end

SOURCES = front_end.WEB / "src"
SAID = re.compile(r'\bsay\(\s*"([a-z-]+)"|\bkey = "([a-z-]+)"|"((?:run|rate|step)-[a-z-]+)"')
KEY = re.compile(r'^    (?:"([a-z-]+)"|([a-z]+)):', re.MULTILINE)
MOST = 250_000


def keys(language: str) -> set[str]:
    """The keys of the sentences in a language."""
    text = (SOURCES / "words" / f"{language}.ts").read_text(encoding="utf-8")
    group = text[text.index("\n  say: {") :]
    return {quoted or plain for quoted, plain in KEY.findall(group[: group.index("\n  }")])}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("room", ["one_weight", "two_weights"])
def test_every_sentence_of_a_room_has_words(language: str, room: str) -> None:
    source = front_end.ROOT / "src" / "downslope" / "playground" / "rooms" / f"{room}.py"
    said = {next(filter(None, found)) for found in SAID.findall(source.read_text(encoding="utf-8"))}
    assert len(said) > 10, "the sentences of the room are not found"
    assert said <= keys(language)


def test_the_lock_file_names_no_address_to_fetch_from() -> None:
    assert '"resolved"' not in (front_end.WEB / "package-lock.json").read_text(encoding="utf-8")


@pytest.mark.skipif(not front_end.is_built(), reason="the front end is not built: make front")
def test_what_is_built_is_one_module_and_one_stylesheet_and_small() -> None:
    built = {each.name: each.read_bytes() for each in front_end.FRONT.iterdir()}
    assert set(built) == {"downslope.js", "downslope.css", "licenses.md"}
    assert sum(len(gzip.compress(each)) for each in built.values()) < MOST
    module = built["downslope.js"].decode()
    assert re.search(r"export\s*\{[^}]*\bas default\b[^}]*\bas playground\b|export\s*\{[^}]*\bplayground\b", module)
    assert not re.search(r"\bimport\s*[\"'{*]|from\s*[\"']", module), "the module brings everything along"


def test_what_is_older_than_its_sources_is_not_taken_for_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    web, front = tmp_path / "web", tmp_path / "front"
    (web / "src").mkdir(parents=True)
    (web / "node_modules").mkdir()
    front.mkdir()
    monkeypatch.setattr(front_end, "WEB", web)
    monkeypatch.setattr(front_end, "FRONT", front)
    source = web / "src" / "index.ts"
    source.write_text("")
    assert not front_end.is_built()
    for name in front_end.BUILT:
        (front / name).write_text("")
    assert front_end.is_built()
    (web / "node_modules" / "new.js").write_text("")
    newer = source.stat().st_mtime + 60
    os.utime(web / "node_modules" / "new.js", (newer, newer))
    assert front_end.is_built()
    os.utime(source, (newer, newer))
    assert not front_end.is_built()
