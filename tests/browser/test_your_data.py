"""The room of one's own data in a browser: brought, fitted, read and taken away, by keys alone and on a telephone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser.test_every_room import WIDER
from tests.browser.visit import PHONE, Visit, axe

Open = Callable[..., Visit]
ROOM = "your-data"


def rows(count: int = 200) -> str:
    """Return a table of two features and a target that they make, as CSV."""
    rng = np.random.default_rng(0)
    x, kind = rng.normal(size=count), rng.integers(0, 2, count)
    y = 3 * x + kind + 0.1 * rng.normal(size=count)
    lines = [f"{a:.5f},{['cold', 'hot'][b]},{c:.5f}" for a, b, c in zip(x, kind, y, strict=True)]
    return "\n".join(["x,kind,y", *lines, ""])


def bring(here: Visit, name: str, whole: bytes) -> None:
    here.page.set_input_files("input[type=file]", {"name": name, "mimeType": "text/csv", "buffer": whole})


def fitted(here: Visit) -> Visit:
    """Bring a table, and fit it as it comes."""
    bring(here, "heat.csv", rows().encode())
    here.page.locator(".about").wait_for()
    here.page.locator("select[id$=-target]").select_option("y")
    here.page.locator("button.fit").click()
    here.page.locator(".verdict").wait_for()
    return here


def saved(here: Visit, name: str) -> tuple[str, bytes]:
    with here.page.expect_download() as found:
        here.page.get_by_role("button", name=name, exact=True).click()
    return found.value.suggested_filename, Path(found.value.path()).read_bytes()


def test_a_table_is_pasted_fitted_and_read_by_keys_alone(visit: Open) -> None:
    here = visit().open(ROOM)
    page = here.page
    page.get_by_role("textbox", name="Or paste rows").focus()
    page.keyboard.insert_text(rows())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".about").wait_for()
    assert here.text(".about p") == "pasted.csv 200 rows, 3 columns"
    page.get_by_role("combobox", name="Column to predict").focus()
    page.keyboard.press("y")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".verdict").wait_for()
    assert here.text(".verdict .word") == "Converged"
    assert "Proved, in double precision" in here.text(".verdict")
    assert page.evaluate("() => document.activeElement.textContent") == "Fit again"
    here.until(lambda: "t=y" in page.url)
    here.until(lambda: "Converged" in page.locator("[role=status][aria-live]").first.text_content())
    here.check()


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "zh")])
def test_axe_finds_nothing_in_a_fit_that_has_ended(visit: Open, theme: str, language: str) -> None:
    page = fitted(visit(color_scheme=theme).open(ROOM, lang=language)).page
    page.evaluate(axe())
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    assert not [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_fit_on_a_telephone_needs_no_scrolling_sideways(visit: Open, language: str) -> None:
    page = fitted(visit(viewport=PHONE, has_touch=True, is_mobile=True).open(ROOM, lang=language)).page
    assert page.evaluate(WIDER) == {"page": 0, "out": []}


def test_what_came_of_a_fit_is_taken_away(visit: Open) -> None:
    here = fitted(visit().open(ROOM))
    name, whole = saved(here, "Predictions (CSV)")
    assert (name, whole.split(b"\n")[0]) == ("heat-predictions.csv", b'"x","kind","y","prediction"')
    name, whole = saved(here, "Model (zip)")
    assert any(each.endswith(".safetensors") for each in zipfile.ZipFile(io.BytesIO(whole)).namelist()), name
    name, whole = saved(here, "Report (HTML)")
    assert (name, whole[:15]) == ("heat-report.html", b"<!doctype html>")
    here.check()


def test_what_cannot_be_read_is_one_sentence_and_the_table_stays(visit: Open) -> None:
    here = fitted(visit().open(ROOM))
    page = here.page
    page.get_by_role("button", name="Another table").click()
    bring(here, "ragged.csv", b"a,b\n1,2\n3\n")
    page.locator("[role=alert]").wait_for()
    assert here.text("[role=alert]").startswith("Line 3 has 1 cells and the first line 2")
    page.get_by_label("Language").select_option("zh")
    here.until(lambda: "3" in here.text("[role=alert]") and "Line" not in here.text("[role=alert]"))
    assert "heat.csv" in here.text(".about p")


def test_a_table_stays_while_another_room_is_shown(visit: Open) -> None:
    here = fitted(visit().open(ROOM))
    here.page.get_by_role("tab", name="One weight").click()
    here.until(lambda: bool(here.line.of("picture", "one-weight")))
    here.page.get_by_role("tab", name="Your data").click()
    assert here.text(".verdict .word") == "Converged"
    assert saved(here, "Table (CSV)")[0] == "heat.csv"


def test_a_file_is_dropped_anywhere_on_the_page(visit: Open) -> None:
    here = visit().open(ROOM)
    drop: Any = """(text) => {
      const held = new DataTransfer();
      held.items.add(new File([text], "dropped.csv"));
      for (const kind of ["dragover", "drop"]) {
        const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: held });
        if (document.querySelector("h1").dispatchEvent(event)) throw new Error(kind);
      }
    }"""
    here.page.evaluate(drop, rows())
    here.page.locator(".about").wait_for()
    assert "dropped.csv" in here.text(".about p")
