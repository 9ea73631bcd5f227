"""A report is one file: nothing is fetched, nothing in the data can run, and no other file is lost to it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import downslope as ds
from downslope.cli.app import app
from downslope.errors import DownslopeError, InputError, OptionError
from downslope.reporting import document, front, report, report_document
from downslope.views.page import page_of

HOSTILE = "</script><script>alert(1)</script><!-- \u2028 ]]> {{x}} ' \" & é 目标"


class Parts(HTMLParser):
    """Reads a page as a browser does: its tags with their attributes, and the text of scripts and styles."""

    def __init__(self, whole: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._open = ""
        self.feed(whole)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = f"{tag} {dict(attrs).get('type') or ''}".strip()

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def attribute(self, tag: str, having: str, name: str) -> str:
        """Return an attribute of the one tag that has another."""
        (found,) = [each[name] for kind, each in self.tags if kind == tag and having in each.values()]
        return found or ""


@pytest.fixture(scope="module")
def cars(root: Path, tmp_path_factory: pytest.TempPathFactory) -> ds.Run:
    runs = tmp_path_factory.mktemp("runs")
    source = root / "examples" / "cars.csv"
    return ds.fit(str(source), "miles_per_gallon", runs=runs, method="full-batch", epochs=40, drop=("name",))


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in a front end of two lines where the real one is not built: what is tested is the page around it."""
    if not (front.FRONT / "downslope.js").exists():
        (tmp_path / "front").mkdir()
        (tmp_path / "front" / "downslope.js").write_text("export default 1\n")
        (tmp_path / "front" / "downslope.css").write_text(".downslope { color: red }\n")
        monkeypatch.setattr(front, "FRONT", tmp_path / "front")


def held(parts: Parts) -> dict[str, Any]:
    return json.loads(parts.texts["script application/json"])


def test_what_a_report_holds_is_the_page_of_its_run(cars: ds.Run) -> None:
    parts = Parts(report_document([cars]).decode())
    content, buffers = page_of(cars).packed()
    (answer,) = held(parts)["answers"]
    assert answer["answer"] == {"is": "run", "room": "", **content}
    assert [base64.b64decode(each) for each in answer["buffers"]] == buffers
    assert "cars.csv → miles_per_gallon" in parts.texts["title"]


def test_only_the_script_and_the_style_of_the_page_may_run_and_nothing_may_be_fetched(cars: ds.Run) -> None:
    parts = Parts(report_document([cars]).decode())
    policy = parts.attribute("meta", "Content-Security-Policy", "content")
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    assert rules["default-src"] == ["'none'"]
    for name, text in (("script-src", parts.texts["script module"]), ("style-src", parts.texts["style"])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[name] == [f"'sha256-{digest}'"]
    addresses = [each.get(name) for _, each in parts.tags for name in ("src", "href") if each.get(name)]
    assert addresses == ["data:,"]


def test_a_name_that_would_break_out_of_the_page_does_not(cars: ds.Run) -> None:
    columns = (replace(cars.data.columns[0], name=HOSTILE), *cars.data.columns[1:])
    run = replace(
        cars, spec=replace(cars.spec, target=HOSTILE, drop=()), data=replace(cars.data, columns=columns),
        coefficients=(ds.records.Coefficient(HOSTILE, 1.0, 1.0), *cars.coefficients),
    )  # fmt: skip
    whole = report_document([run]).decode()
    parts = Parts(whole)
    assert [kind for kind, _ in parts.tags if kind == "script"] == ["script", "script"]
    content = held(parts)["answers"][0]["answer"]
    assert (
        content["target"] == content["data"]["columns"][0]["name"] == content["coefficients"][0]["feature"] == HOSTILE
    )
    assert "alert(1)" not in re.sub(r"<(script|title)[^>]*>.*?</\1>", "", whole, flags=re.DOTALL)


def test_no_tag_of_the_module_ends_its_script(monkeypatch: pytest.MonkeyPatch, cars: ds.Run, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "downslope.js").write_text("const a = '</script>', b = `<!-- <script>`, c = /<SCRIPT/;")
    (tmp_path / "own" / "downslope.css").write_text("")
    monkeypatch.setattr(front, "FRONT", tmp_path / "own")
    script = Parts(report_document([cars]).decode()).texts["script module"]
    assert script == r"const a = '\x3c/script>', b = `\x3c!-- \x3cscript>`, c = /\x3cSCRIPT/;"


def test_a_report_replaces_a_report_and_nothing_else(cars: ds.Run, tmp_path: Path) -> None:
    page, letter = tmp_path / "page.html", tmp_path / "letter.html"
    assert cars.report(page) == page
    first = page.read_bytes()
    report(cars, page, language="zh")
    assert page.read_bytes() != first
    letter.write_text("<p>Dear Ada,")
    with pytest.raises(OptionError, match=r'letter\.html" is there and is no report; name another file'):
        cars.report(letter)
    assert letter.read_text() == "<p>Dear Ada,"
    cars.report(letter, overwrite=True)
    assert letter.read_bytes() == first
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_what_cannot_be_written_is_one_sentence(cars: ds.Run, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is a folder; name a file in it"):
        cars.report(tmp_path)
    with pytest.raises(OptionError, match='there is no language "fr"; name one of en, zh'):
        cars.report(tmp_path / "page.html", language="fr")
    with pytest.raises(InputError, match="no page of dict"):
        ds.report({}, tmp_path / "page.html")
    assert list(tmp_path.glob("*.html")) == []


def test_without_a_front_end_the_error_says_how_to_build_one(
    cars: ds.Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(front, "FRONT", tmp_path / "nowhere")
    with pytest.raises(DownslopeError, match="the front end is not built"):
        cars.report(tmp_path / "page.html")


def test_several_records_share_a_page(cars: ds.Run, tmp_path: Path) -> None:
    found = ds.basins("two-valleys", 50, steps=20)
    path = ds.report(cars, tmp_path / "both.html", also=[found])
    answers = held(Parts(path.read_text(encoding="utf-8")))["answers"]
    assert [each["answer"]["kind"] for each in answers] == ["run", "starts"]


def test_the_words_for_a_page_without_scripts_are_those_of_its_language() -> None:
    page = document([], title="<b>", words="没有 <script>", language="zh").decode()
    parts = Parts(page)
    assert parts.attribute("html", "zh", "lang") == "zh"
    assert "没有 &lt;script&gt;" in page
    assert held(parts)["known"] == {"language": "zh"}


def command(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words), standalone_mode=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_command_writes_beside_the_run_and_says_how_large_it_is(cars: ds.Run) -> None:
    runs = str(Path(str(cars.path)).parent)
    code, printed = command("report", cars.run, "--runs", runs)
    written = Path(str(cars.path)) / "report.html"
    assert code == 0
    assert printed.startswith(f"{written}  {round(written.stat().st_size / 1000):,} kB")
    assert ds.store.load(str(cars.path)).run == cars.run


def test_the_command_compares_runs_where_it_is_told(cars: ds.Run, tmp_path: Path) -> None:
    runs, out = str(Path(str(cars.path)).parent), tmp_path / "two.html"
    code, printed = command("report", cars.run, "latest", "--runs", runs, "--output", str(out), "--json")
    told = json.loads(printed)
    assert code == 0
    assert told == {"report": str(out), "bytes": out.stat().st_size, "runs": [cars.run, cars.run]}
    with pytest.raises(OptionError, match="say where with --output FILE"):
        command("report", cars.run, "latest", "--runs", runs)


def test_the_report_of_a_descent_of_a_function(tmp_path: Path) -> None:
    import numpy as np

    found = ds.minimize(lambda x: (x**2).sum(), np.array([1.0, 2.0]), runs=tmp_path)
    assert command("report", found.run, "--runs", str(tmp_path))[0] == 0
    answer = held(Parts((tmp_path / found.run / "report.html").read_text(encoding="utf-8")))["answers"][0]["answer"]
    assert answer["kind"] == "function"
