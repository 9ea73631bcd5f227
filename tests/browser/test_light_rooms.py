"""The rooms that are drawn at once: the published exercises, every drag, and what is taken along."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.browser.visit import Visit, arrays

Open = Callable[..., Visit]
DRAGGED = {
    "one-weight": ("main svg .field", "start"), "two-weights": ("main svg .field", "start_x"),
    "batches": ("main svg .field", "start_x"), "valleys": ("main svg .field", "start_x"),
}  # fmt: skip


def predict(visit: Visit, rate: str, guess: str) -> str:
    """Answer a challenge as a person does, and return what the page says."""
    page = visit.page
    page.get_by_role("button", name=f"Rate {rate}", exact=True).click()
    if guess == "never":
        page.get_by_label("It never lands").check()
    else:
        page.get_by_label("Your prediction, in steps").fill(guess)
    page.get_by_role("button", name="Reveal").click()
    answer = page.locator(".answer")
    visit.until(lambda: answer.inner_text() not in ("", "The engine is counting"))
    return answer.inner_text()


def as_bytes(held: dict[str, np.ndarray]) -> dict[str, bytes]:
    """Return arrays by name as they came."""
    return {name: each.tobytes() for name, each in held.items()}


def table(page: Any, title: str) -> Any:
    """Return the rows of the table under a title."""
    return page.locator(f'section:has(> h2:text-is("{title}")) tbody tr')


def test_the_published_exercises_are_counted_by_the_engine(visit: Open) -> None:
    here = visit().open("one-weight")
    assert predict(here, "0.1", "81") == "Exactly: 81 steps."
    assert predict(here, "1", "12") == "The engine took 6 steps; you said 12."
    assert predict(here, "1.6", "1") == "Exactly: 1 step."
    assert predict(here, "4", "never") == "Right: it diverges. The limit is 3.2."
    assert predict(here, "4", "40").startswith("It never lands: above 3.2 every step makes the error larger.")


@pytest.mark.parametrize(
    ("rate", "sentences"),
    [
        ("0.1", ["Landed in 81 steps: 0.55% or less", "too slow"]), ("1", ["Landed in 6 steps", "sweet spot"]),
        ("1.6", ["Landed in 1 step:", "sweet spot"]), ("3", ["overshoots"]),
        ("4", ["the rate 4 is too large", "above the limit 3.2: each step makes the error 1.5 times"]),
    ],
)  # fmt: skip
def test_a_rate_is_told_by_its_zone(visit: Open, rate: str, sentences: list[str]) -> None:
    here = visit().open("one-weight", r=rate)
    here.page.get_by_label("Step shown").press("End")
    told = here.text("main .happened")
    assert [each for each in sentences if each not in told] == []
    axis = here.page.locator("main figure", has_text="from too slow to too large").locator("svg").text_content()
    assert "1/f″ = 1.6" in axis
    assert "2/f″ = 3.2" in axis


def test_a_step_that_overshoots_is_told_with_its_number(visit: Open) -> None:
    here = visit().open("one-weight", r="4")
    here.page.get_by_label("Step shown").press("Home")
    for _ in range(4):
        here.page.get_by_role("button", name="Step", exact=True).click()
    told = "Step 4 overshot: rate 4 is above the limit 3.2; the error grew 1.5 times."
    assert here.text("main .headline") == told
    here.until(lambda: here.text("[role=status]") == told)


def test_the_seven_cars(visit: Open) -> None:
    here = visit().open("two-weights")
    picture, held = here.picture("two-weights")
    assert picture["runs"][0]["needed"] == 2284
    assert held["loss:plain"][0] == pytest.approx(303.71, abs=0.01)
    page = here.page
    page.get_by_label("Step shown").press("End")
    told = here.text("main .happened")
    assert "Plain descent at rate 0.03 comes within the tolerance, 1%, after 2,284 steps." in told
    assert "curved by 28.65 across and 0.05597 along, a condition κ of 511.8" in told
    rows = table(page, "Three points and their gradients").all_inner_texts()
    assert [part in rows[0] for part in ("303.7", "−119.7", "−34.29", "negative: the weight should rise")] == [True] * 4
    assert [part in rows[1] for part in ("−4.569", "33.59", "1.47", "zero")] == [True] * 4
    assert "positive: the weight should fall" in rows[2]
    cells = table(page, "The race").first.locator("td").all_inner_texts()
    assert cells[:4] == ["0.03", "0.06982", "converged", "2,284"]
    valley = page.get_by_label("The valley")
    assert "the curvature is 28.65 across and 0.05597 along: κ = 511.8" in valley.inner_text()


def test_scaling_makes_the_valley_a_bowl_and_one_step_enough(visit: Open) -> None:
    here = visit().open("two-weights", r="0.5")
    here.page.get_by_label("Scale the feature").check()
    here.settle()
    here.page.get_by_label("Step shown").press("End")
    assert "Plain descent at rate 0.5 comes within the tolerance, 1%, after 1 step." in here.text("main .happened")
    valley = here.page.get_by_label("The valley").inner_text()
    assert "κ = 511.8" in valley
    assert "Scaling the feature takes κ from 511.8 to 1." in valley
    assert here.picture("two-weights")[0]["shape"]["largest"] == pytest.approx(2.0)


@pytest.mark.parametrize("room", DRAGGED)
def test_a_drag_is_drawn_on_its_way_and_is_one_entry_of_undo(visit: Open, room: str) -> None:
    here = visit().open(room)
    field, name = DRAGGED[room]
    before, count = here.picture(room)[0], len(here.line.of("picture", room))
    box = here.page.locator(field).first.bounding_box()
    mouse = here.page.mouse
    mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    mouse.down()
    for share in (0.4, 0.5, 0.6, 0.7):
        mouse.move(box["x"] + share * box["width"], box["y"] + 0.4 * box["height"])
        here.settle()
    assert len(here.line.of("picture", room)) >= count + 4
    mouse.up()
    dragged = here.line.asked[-1][0]["state"]
    assert dragged[name] != here.line.asked[0][0]["state"][name]
    page = here.page
    page.get_by_role("button", name="Undo").click()
    assert here.picture(room)[0]["say"] == before["say"]
    assert page.get_by_role("button", name="Undo").is_disabled()
    page.get_by_role("button", name="Redo").click()
    here.settle()
    assert here.line.asked[-1][0]["state"] == dragged


@pytest.mark.parametrize(
    ("room", "words"),
    [
        ("one-weight", {"f": "two-valleys", "r": "0.37", "w": "-2.6", "n": "40"}),
        ("two-weights", {"f": "egg-crate", "o": "plain,adam@0.2", "r": "0.01", "x": "1.7", "y": "-2.3", "n": "300"}),
        ("valleys", {"f": "himmelblau", "r": "0.011", "s": "500", "x": "0.3", "y": "-1.1"}),
    ],
)
def test_a_link_shows_the_same_to_the_last_byte(visit: Open, room: str, words: dict[str, str]) -> None:
    first = visit().open(room, **words)
    picture, held = first.picture(room)
    first.page.get_by_role("button", name="Copy link").click()
    link = first.page.evaluate("() => navigator.clipboard.readText()")
    second = visit()
    second.page.goto(link)
    second.until(lambda: bool(second.line.of("picture", room)))
    again, other = second.picture(room)
    assert {**again, "id": 0} == {**picture, "id": 0}
    assert as_bytes(other) == as_bytes(held)
    assert second.line.asked[0][0]["state"] == first.line.asked[0][0]["state"]


@pytest.mark.parametrize("room", DRAGGED)
def test_the_address_follows_and_says_only_what_differs(visit: Open, room: str) -> None:
    here = visit().open(room)
    row = here.page.locator("aside .field", has_text="Learning rate").locator("input[type=text]").first
    row.fill("0.02")
    row.press("Enter")
    here.until(lambda: "r=0.02" in here.page.url)
    assert here.page.url.split("#")[1] == f"room={room}&r=0.02"


def test_two_runs_are_compared_from_one_start(visit: Open) -> None:
    here = visit().open("one-weight", r="0.1")
    page = here.page
    page.get_by_role("button", name="Keep this run to compare").click()
    page.get_by_label("Rule").select_option("momentum")
    here.settle()
    rows = [each.split("\t") for each in page.get_by_label("Two runs, one start").locator("tbody tr").all_inner_texts()]
    told = {name.strip(): (kept, now) for name, kept, now in rows}
    assert told["Rule"] == ("Plain descent", "Momentum")
    assert told["Steps to land"][0] == "81"
    assert told["Steps to land"][1] == str(here.picture("one-weight")[0]["needed"])
    first, second = (arrays(*each)["path"] for each in (here.line.of("picture")[0], here.line.of("picture")[-1]))
    assert first[0].tobytes() == second[0].tobytes()
    assert page.locator("main svg .ghost").count() >= 1


@pytest.mark.parametrize("room", DRAGGED)
def test_a_reset_goes_to_the_same_start_and_a_new_start_to_another(visit: Open, room: str) -> None:
    here = visit().open(room)
    page = here.page
    page.get_by_label("Step shown").press("End")
    page.get_by_role("button", name="Back to the same start").click()
    assert page.get_by_label("Step shown").input_value() == "0"
    asked = len(here.line.asked)
    assert asked == 1, "going back asks the engine for nothing"
    page.get_by_role("button", name="New start").click()
    here.settle()
    assert here.line.asked[-1][0]["state"] != here.line.asked[0][0]["state"]


def download(page: Any, button: Any, tmp_path: Path) -> Path:
    """Press a button, and return the file that it gives."""
    with page.expect_download() as coming:
        button.click()
    kept = tmp_path / coming.value.suggested_filename
    coming.value.save_as(kept)
    return kept


@pytest.mark.parametrize("room", DRAGGED)
def test_a_picture_is_saved_as_it_is_drawn(visit: Open, room: str, tmp_path: Path) -> None:
    here = visit().open(room)
    figure = here.page.locator("main figure").first
    kept = download(here.page, figure.get_by_role("button", name="Save as PNG"), tmp_path)
    with Image.open(kept) as image:
        box = figure.locator(".frame").bounding_box()
        assert image.size == (int(2 * box["width"]), int(2 * box["height"]))
        shades = np.asarray(image.convert("L"))
    assert shades.std() > 10, "the picture is empty"
    if room == "one-weight":
        vector = download(here.page, figure.get_by_role("button", name="Save as SVG"), tmp_path)
        root = ElementTree.parse(vector).getroot()
        assert len(root.findall(".//{http://www.w3.org/2000/svg}path")) > 4
        assert "var(" not in vector.read_text(encoding="utf-8")


def test_the_python_that_is_copied_takes_the_same_steps(visit: Open) -> None:
    here = visit().open("one-weight", f="two-valleys", r="0.1", n="30", w="-2.5")
    here.page.get_by_role("button", name="Copy the Python").click()
    code = here.page.evaluate("() => navigator.clipboard.readText()")
    _, held = here.picture("one-weight")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    walked = np.array(done.stdout.replace("[", " ").replace("]", " ").split(), np.float64)
    steps = held["path"].shape[0]
    assert walked[:steps] == pytest.approx(held["path"][:, 0], rel=1e-5, abs=1e-6)


def test_a_wrong_expression_is_one_sentence_and_the_room_goes_on(visit: Open) -> None:
    here = visit().open("one-weight", f="expression")
    field = here.page.get_by_label("Expression", exact=True)
    field.fill("open('/etc/passwd')")
    field.press("Enter")
    here.page.get_by_role("alert").wait_for()
    assert here.page.get_by_role("alert").inner_text().count("\n") == 0
    assert here.page.locator("main figure").count() >= 2
    field.fill("(x - 1)**2")
    field.press("Enter")
    here.settle()
    assert here.page.get_by_role("alert").count() == 0
    assert here.picture("one-weight")[0]["minimum"]["at"] == pytest.approx(1.0)
