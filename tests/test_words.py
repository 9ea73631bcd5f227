"""Sentences: the text as before, and how it was made, through copies, files and languages."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest

from downslope.errors import ColumnError, nearest
from downslope.records import Choice, Finding, Run
from downslope.records.figures import duration, figure, plural
from downslope.records.files import record_from_json, record_to_json, run_from_json, run_to_json
from downslope.words import Sentence, both, catalogue, in_language, joined, named, say, sentence


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return a catalogue of the test's own, to write into."""
    own: dict[str, str] = {}
    monkeypatch.setattr(sentence, "catalogue", lambda language: own)
    return own


def test_a_sentence_is_the_text_it_was() -> None:
    told = say("rate {rate} at step {step}", rate="0.1", step=4)
    assert told == "rate 0.1 at step 4"
    assert (hash(told), repr(told), len(told)) == (hash(str(told)), repr(str(told)), len(str(told)))
    assert type(str(told)) is str
    assert json.dumps([told]) == '["rate 0.1 at step 4"]'
    assert {told: 1}["rate 0.1 at step 4"] == 1


def test_a_sentence_in_another_language(chinese: dict[str, str]) -> None:
    chinese |= {"{count} row": "{count} 行", "{name} has {rows}": "{rows}，名为{name}"}
    told = say("{name} has {rows}", name="{x}", rows=plural(1200, "row"))
    assert both(told) == {"en": "{x} has 1,200 rows", "zh": "1,200 行，名为{x}"}


def test_a_space_is_between_chinese_and_latin_whatever_the_value(chinese: dict[str, str]) -> None:
    chinese |= {"{rows} in {source}": "{source}中有{rows}", "the table": "表格"}
    assert in_language(say("{rows} in {source}", rows=3, source="cars.csv"), "zh") == "cars.csv 中有 3"
    assert in_language(say("{rows} in {source}", rows="no", source=say("the table")), "zh") == "表格中有 no"
    assert in_language(say("{rows} in {source}", rows=3, source="a列"), "zh") == "a列中有 3", "names stay as they are"


def test_parts_keep_how_they_were_made(chinese: dict[str, str]) -> None:
    chinese |= {"one": "一", "two": "二", ", ": "、"}
    assert in_language(say("one") + say("two"), "zh") == "一二"
    assert in_language("(" + say("one") + ")", "zh") == "(一)"
    assert both(joined(say(", "), [say("one"), "x", say("two")])) == {"en": "one, x, two", "zh": "一、x、二"}
    assert joined(", ", []) == ""


def test_what_no_catalogue_knows_is_said_in_english(chinese: dict[str, str]) -> None:
    chinese["{a} and {b}"] = "{a} 和 {c}"
    assert in_language(say("never heard of"), "zh") == "never heard of"
    assert in_language(say("{a} and {b}", a=1, b=2), "zh") == "1 and 2"
    assert in_language("a column", "zh") == "a column"


def test_one_is_singular_in_english_and_has_the_same_key() -> None:
    assert (plural(1, "pass", "passes"), plural(3, "pass", "passes")) == ("1 pass", "3 passes")
    assert plural(1, "pass", "passes").template == plural(3, "pass", "passes").template == "{count} pass"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda told: pickle.loads(pickle.dumps(told))])
def test_copies_remember(again: Any) -> None:
    told = say("{rows} read", rows=plural(2, "row"))
    other = again(told)
    assert (type(other), other, other.template, other.values) == (Sentence, told, told.template, told.values)
    assert other.values["rows"].template == "{count} row"


def test_an_error_remembers_and_reads_as_before() -> None:
    error = ColumnError(say('no column "{name}"{nearest}', name="lat", nearest=nearest("lat", ["late", "x"])))
    assert str(error) == 'no column "lat"; nearest: "late"'
    assert error.sentence.template == 'no column "{name}"{nearest}'
    assert ColumnError("plain").sentence == "plain"
    assert ColumnError().sentence == ""


def test_records_through_json_can_still_be_said_in_chinese(flights_run: Run) -> None:
    finding = Finding("DS999", say("title"), say("{rows} of {n}", rows=plural(2, "row"), n=3), say("a") + say("b"))
    choice = Choice("rule", "plain", joined(say(", "), [say("one"), named("log")]))
    run = replace(flights_run, findings=(finding,), choices=(choice,), message=say("ended at {gap}", gap=figure(0.1)))
    written = json.loads(json.dumps(run_to_json(run)))
    assert written["findings"][0]["evidence"] == "2 rows of 3", "the text stands where it stood"
    again = run_from_json(written)
    assert repr(again) == repr(run)
    pairs = [(getattr(again.findings[0], name), getattr(finding, name)) for name in ("title", "evidence", "remedy")]
    for ours, theirs in [(again.message, run.message), (again.choices[0].reason, choice.reason), *pairs]:
        assert both(ours) == both(theirs)
        assert ours.template == theirs.template
        assert ours.template
    assert again.findings[0].evidence.values["rows"].template == "{count} row"
    assert record_from_json(Choice, record_to_json(choice)).reason.template == choice.reason.template


def test_an_older_record_has_its_texts_in_english(flights_run: Run) -> None:
    values = run_to_json(flights_run)
    values.pop("sentences", None)
    again = run_from_json(values)
    assert repr(again) == repr(flights_run)
    assert both(again.message) == {"en": flights_run.message, "zh": flights_run.message}


def test_records_are_equal_by_what_they_say() -> None:
    ours, theirs = Choice("rule", "plain", say("because {x}", x=1)), Choice("rule", "plain", Sentence("because 1"))
    assert ours == theirs
    assert Choice("rule", "plain", say("because {x}", x=2)) != theirs


def test_spans_and_numbers_in_chinese() -> None:
    assert both(duration(200)) == {"en": "3 min 20 s", "zh": "3 分 20 秒"}
    assert both(figure(float("nan"))) == {"en": "unknown", "zh": "未知"}
    assert catalogue("zh") is catalogue("zh")
