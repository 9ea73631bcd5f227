"""In the cell of a notebook: what a widget holds for the front end, and a session of the playground behind one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope import notebook
from downslope.errors import DownslopeError, InputError
from downslope.reporting import front
from downslope.views.page import page_of

pytest.importorskip("anywidget")


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in a front end of two lines where the real one is not built: what is tested is the widget around it."""
    if not (front.FRONT / "downslope.js").exists():
        (tmp_path / "front").mkdir()
        (tmp_path / "front" / "downslope.js").write_text("export default 1\n")
        (tmp_path / "front" / "downslope.css").write_text("\n")
        monkeypatch.setattr(front, "FRONT", tmp_path / "front")


@pytest.fixture(scope="module")
def cars(root: Path) -> ds.Run:
    return ds.fit(str(root / "examples" / "cars.csv"), "miles_per_gallon", runs=None, drop=("name",))


def test_a_run_shows_all_that_its_page_has(cars: ds.Run) -> None:
    view = cars.show(language="zh")
    content, buffers = page_of(cars).packed()
    assert view.page["known"] == {"language": "zh"}
    assert view.page["answers"] == [{"answer": {"is": "run", "room": "", **content}, "buffers": buffers}]
    assert str(view._esm) == front.module()
    assert str(view._css) == front.stylesheet()


def test_where_nothing_is_drawn_a_few_words_stand(cars: ds.Run) -> None:
    words = repr(cars.show())
    assert str(cars.message) in words
    assert "elsewhere write a page with .report(path)" in words
    assert len(words) < 300


def test_a_run_that_a_notebook_prints_is_a_few_words_of_html(cars: ds.Run) -> None:
    words = cars._repr_html_()
    assert "<b>Run</b> <b>converged</b>: " in words
    assert ".show()" in words
    hostile = ds.basins("two-valleys", 10, steps=5)._repr_html_()
    assert "<b>Basins</b>" in hostile


def test_an_estimator_is_shown_by_its_run() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3))
    model = ds.GradientDescentRegressor().fit(features, features @ [1.0, -2.0, 0.5])
    view = ds.show(model)
    answer = view.page["answers"][0]["answer"]
    assert answer["kind"] == "run"
    assert answer["coefficients"][0]["feature"] == "x1"


def test_several_records_share_a_cell(cars: ds.Run) -> None:
    view = ds.show(cars, ds.basins("two-valleys", 10, steps=5))
    assert [each["answer"]["kind"] for each in view.page["answers"]] == ["run", "starts"]


def test_what_is_no_record_is_one_sentence() -> None:
    with pytest.raises(InputError, match="no page of list"):
        ds.show([1, 2])


def playing(monkeypatch: pytest.MonkeyPatch, **begin: Any) -> tuple[Any, list[tuple[Any, Any]]]:
    """Return the playground of a cell, and what it sends."""
    sent: list[tuple[Any, Any]] = []
    widget = ds.play_here(**begin)
    monkeypatch.setattr(type(widget), "send", lambda self, content, buffers=None: sent.append((content, buffers)))
    return widget, sent


def test_the_playground_answers_in_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    widget, sent = playing(monkeypatch, room="one-weight", state={"rate": 0.5}, language="zh")
    assert (widget.room, widget.state, widget.language) == ("one-weight", {"rate": 0.5}, "zh")
    widget._handle_custom_msg({"do": "open", "room": "one-weight", "id": 7, "state": {"rate": 0.5}}, [])
    (content, buffers), *_ = sent
    assert (content["is"], content["room"], content["id"]) == ("picture", "one-weight", 7)
    assert [each["name"] for each in content["arrays"]][:2] == ["curve", "path"]
    assert len(buffers) == len(content["arrays"])
    widget.close()
    widget._handle_custom_msg({"do": "open", "room": "one-weight", "id": 8, "state": {}}, [])
    assert len(sent) == 1


def test_the_playground_begins_with_a_table(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    source = str(root / "examples" / "cars.csv")
    widget, sent = playing(monkeypatch, source=source, target="miles_per_gallon")
    assert (widget.room, widget.state) == ("your-data", {"target": "miles_per_gallon"})
    widget._handle_custom_msg({"do": "open", "room": "your-data", "id": 1, "state": {}}, [])
    assert sent[0][0]["table"]["name"] == "cars.csv"
    assert sent[0][0]["table"]["rows"] == 406
    widget.close()


def test_a_target_needs_a_source() -> None:
    with pytest.raises(InputError, match="target names a column of a source"):
        ds.play_here(target="y")


def test_without_anywidget_the_error_says_how_to_get_it(cars: ds.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    notebook._widgets.cache_clear()
    try:
        with pytest.raises(DownslopeError, match=r"needs anywidget; pip install downslope\[notebook\] brings it"):
            cars.show()
    finally:
        notebook._widgets.cache_clear()
