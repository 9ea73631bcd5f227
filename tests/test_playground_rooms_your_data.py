"""The room of one's own data: a table in pieces, a fit watched and stopped, and what is taken away."""

from __future__ import annotations

import io
import re
import shlex
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest

from downslope.playground.limits import PIECE_BYTES
from downslope.playground.session import Session
from downslope.reporting import front
from tests.test_playground_uploads import as_workbook

ROOM = "your-data"


def sample(rows: int = 400) -> pa.Table:
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    kind = np.where(rng.random(rows) > 0.5, "hot", "cold")
    return pa.table({"x": x, "kind": kind, "y": 3 * x + (kind == "hot") + 0.1 * rng.normal(size=rows)})


def as_csv(table: pa.Table) -> bytes:
    packed = io.BytesIO()
    csv.write_csv(table, packed)
    return packed.getvalue()


def as_parquet(table: pa.Table) -> bytes:
    packed = io.BytesIO()
    parquet.write_table(table, packed)
    return packed.getvalue()


class Page:
    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, Any], list[bytes]]] = []
        self.session = Session(lambda content, buffers: self.heard.append((content, buffers)))
        self.ask("open")

    def ask(self, do: str, *buffers: bytes, **more: Any) -> None:
        self.session.receive({"do": do, "room": ROOM, "id": 1, **more}, list(buffers))

    def bring(self, table: pa.Table, **state: Any) -> None:
        self.ask("upload", as_parquet(table), name="table.parquet")
        self.ask("set", state={"target": "y", **state})

    def last(self, kind: str, seconds: float = 30.0) -> tuple[dict[str, Any], list[bytes]]:
        """Wait for a message of a kind, and return the newest one."""
        began = time.monotonic()
        while not (found := [each for each in list(self.heard) if each[0]["is"] == kind]):
            assert time.monotonic() - began < seconds, [each[0] for each in self.heard]
            time.sleep(0.01)
        return found[-1]


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.session.close()
    wait_until(lambda: not any(each.name == "playground fit" for each in threading.enumerate()))


def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)


def test_a_table_comes_in_pieces(page: Page) -> None:
    whole = as_csv(sample(60_000))
    assert len(whole) > PIECE_BYTES
    for at in range(0, len(whole), PIECE_BYTES):
        page.ask("upload", whole[at : at + PIECE_BYTES], name="big.csv", size=len(whole), at=at)
    told, _ = page.last("table")
    assert told["table"]["rows"] == 60_000
    assert [each["name"] for each in told["table"]["columns"]] == ["x", "kind", "y"]
    assert len(told["table"]["first"]) == 20
    page.ask("upload", b"x", name="big.csv", size=9, at=5)
    assert page.last("error")[0]["message"]


def test_a_fit_is_watched_and_its_end_told(page: Page) -> None:
    page.bring(sample())
    page.ask("fit")
    told, buffers = page.last("fitted")
    assert told["verdict"] == "converged"
    scores = {each["name"]: each for each in told["scores"]}
    assert scores["r2"]["holdout"] > 0.99 > scores["r2"]["baseline"]
    found = {each["feature"]: each["value"] for each in told["coefficients"]}
    assert found["x"] == pytest.approx(3.0, rel=0.05)
    steps = np.frombuffer(buffers[0], np.float32).reshape(told["arrays"][0]["shape"])
    assert steps[-1, 3] == pytest.approx(told["objective"], rel=1e-5)
    heard = [each for each in page.heard if each[0]["is"] == "progress"]
    assert [each["phase"] for each, _ in heard[:2]] == ["choosing", "descending"]
    assert (heard[0][0]["rows"], heard[-1][0]["gap_kind"]) == (320, "certified")
    curve = np.frombuffer(heard[-1][1][0], np.float32).reshape(heard[-1][0]["arrays"][0]["shape"])
    assert curve.shape[1] == 6
    assert curve[-1, 0] == heard[-1][0]["update"]


def test_a_page_is_told_how_to_ask_for_the_same(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my table.csv").write_bytes(as_csv(sample()))
    page.ask("upload", as_csv(sample()), name="my table.csv")
    page.ask("set", state={"target": "y", "max_seconds": 20, "holdout": 0.3})
    told, _ = page.last("picture")
    command = ["downslope", "fit", "my table.csv", "--target", "y", "--holdout", "0.3", "--max-seconds", "20.0"]
    assert shlex.split(told["command"]) == command
    page.ask("fit")
    fitted, _ = page.last("fitted")
    assert (fitted["command"], fitted["python"]) == (told["command"], told["code"])
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {}
    exec(told["code"].replace("run.show()", ""), given)
    assert given["run"].objective == pytest.approx(fitted["objective"], rel=1e-6)
    assert {each.feature: each.value for each in given["run"].coefficients} == pytest.approx(
        {each["feature"]: each["value"] for each in fitted["coefficients"]}, rel=1e-6
    )


def test_a_table_without_a_file_is_named_as_it_can_be_saved(page: Page) -> None:
    row = "<row><c><v>{}</v></c><c><v>{}</v></c></row>"
    heads = '<row><c t="str"><v>x</v></c><c t="str"><v>y</v></c></row>'
    page.ask("upload", as_workbook(heads + row.format(1, 2) + row.format(2, 3)), name="book.xlsx")
    page.ask("set", state={"target": "y"})
    assert "fit book.csv" in page.last("picture")[0]["command"]
    page.ask("download", what="table")
    told, (whole,) = page.last("file")
    assert (told["name"], whole) == ("book.csv", b'"x","y"\n1,2\n2,3\n')


def test_model_and_predictions_are_taken_away(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (front.FRONT / "downslope.js").exists():  # the report is a page around whatever front end there is
        for ending in ("js", "css"):
            (tmp_path / f"downslope.{ending}").write_text("")
        monkeypatch.setattr(front, "FRONT", tmp_path)
    page.bring(sample())
    page.ask("download", what="model")
    assert "before a fit" in page.last("error")[0]["message"]
    page.ask("fit")
    page.last("fitted")
    wait_until(lambda: not any(each.name == "playground fit" for each in threading.enumerate()))
    page.ask("download", what="predictions")
    told, (whole,) = page.last("file")
    assert told["name"] == "table-predictions.csv"
    table = csv.read_csv(io.BytesIO(whole))
    np.testing.assert_allclose(table["prediction"].to_numpy(), table["y"].to_numpy(), atol=0.8)
    page.ask("download", what="report", language="zh")
    told, (whole,) = page.last("file")
    assert told["name"] == "table-report.html"
    assert b'<html lang="zh' in whole[:200]
    assert b"http://" not in whole.split(b"<body", 1)[0]
    page.ask("download", what="model")
    told, (whole,) = page.last("file")
    zipfile.ZipFile(io.BytesIO(whole)).extractall(tmp_path)
    from downslope.store import load

    run = load(told["name"].removesuffix(".zip"), tmp_path)
    np.testing.assert_allclose(run.model.predict(sample()), table["prediction"].to_numpy())


def test_a_fit_is_stopped_and_a_closed_page_leaves_nothing(page: Page) -> None:
    page.bring(sample(20_000), model="mlp:64,64", max_seconds=60)
    page.ask("fit")
    page.last("progress", 60)
    page.ask("fit")
    assert "under way" in page.last("error")[0]["message"]
    page.ask("stop")
    told, _ = page.last("fitted")
    assert told["verdict"] == "stopped"
    folder = page.session._kept._folder.name  # type: ignore[union-attr]
    assert Path(folder).is_dir()
    wait_until(lambda: not any(each.name == "playground fit" for each in threading.enumerate()))
    page.session.close()
    assert not Path(folder).exists()


@pytest.mark.parametrize(
    ("state", "words"),
    [({"target": "z"}, "no column"), ({"epochs": "many"}, "epochs must be"), ({"learning_rate": "nan"}, "above 0"),
     ({"method": "scaled", "learning_rate": "0.1"}, "scaled"),
     ({"model": "/etc/passwd"}, "model"), ({"model": "cnn:4"}, "cnn|image")],
)  # fmt: skip
def test_what_cannot_be_fitted_is_one_sentence(page: Page, state: dict[str, Any], words: str) -> None:
    page.bring(sample(), **state)
    page.ask("fit")
    assert re.search(words, page.last("error")[0]["message"])


def test_nothing_is_fitted_without_a_table(page: Page) -> None:
    page.ask("fit")
    assert "no table yet" in page.last("error")[0]["message"]


def test_a_table_of_the_command_line_is_there_from_the_beginning() -> None:
    heard: list[dict[str, Any]] = []
    session = Session(lambda content, buffers: heard.append(content), sample(), "sample.csv")
    session.receive({"do": "open", "room": ROOM, "id": 1, "state": {"target": "y"}}, [])
    assert (heard[-1]["is"], heard[-1]["table"]["name"], heard[-1]["table"]["rows"]) == ("picture", "sample.csv", 400)
    session.close()


def test_a_table_stays_while_other_rooms_are_open_until_the_room_is_closed(page: Page) -> None:
    page.bring(sample())
    page.session.receive({"do": "open", "room": "one-weight", "id": 2}, [])
    page.ask("fit")
    assert "not open" in page.last("error")[0]["message"]
    page.ask("open", state={"target": "y"})
    assert page.last("picture")[0]["table"]["rows"] == 400
    page.ask("close")
    page.ask("open")
    assert page.last("picture")[0]["table"] is None


def test_a_table_that_cannot_be_read_leaves_the_one_that_was_there(page: Page) -> None:
    page.bring(sample())
    page.ask("upload", b"a,b\n1\n", name="wrong.csv")
    assert "line 2 has 1 cells" in page.last("error")[0]["message"]
    page.ask("download", what="table")
    told, (whole,) = page.last("file")
    assert (told["name"], told["id"]) == ("table.csv", 1)
    assert csv.read_csv(io.BytesIO(whole)).num_rows == 400
