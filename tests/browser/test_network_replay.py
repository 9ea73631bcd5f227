"""The replay page of a network: saved in the room, opened from disk with the network off, gone through by all means."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_every_room import LATIN_WORDS, NAMES, WIDER
from tests.browser.visit import PHONE, Visit, axe

Open = Callable[..., Visit]
Read = Callable[..., Any]
UPDATES = 200
PAINTED = "() => [...document.querySelectorAll('main canvas')].map((each) => each.toDataURL())"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the page lies once it is saved."""
    return tmp_path_factory.mktemp("replay") / "network.html"


@pytest.fixture
def saved(visit: Open, shelf: Path) -> Path:
    """Return the page of a network beside a kept run, saved as a person does, once."""
    if shelf.exists():
        return shelf
    here = visit().open("network", h="3,2", b="25", t="1", u="2")
    page = here.page
    page.get_by_role("button", name="Keep this run to compare").click()
    here.settle()
    rate = page.get_by_label("Learning rate", exact=True).last
    rate.fill("0.3")
    rate.press("Enter")
    here.settle()
    page.get_by_label("Updates of a step").select_option(label="100 updates")
    for at in (100, UPDATES):
        page.get_by_role("button", name="Step", exact=True).click()
        here.until(lambda at=at: f"Update {at}," in page.locator(".where").inner_text())
    with page.expect_download() as coming:
        page.get_by_role("button", name="Save a replay page").click()
    assert coming.value.suggested_filename == "network.html"
    coming.value.save_as(shelf)
    return shelf


@pytest.fixture
def read(offline: Callable[..., Any], saved: Path) -> Read:
    """Return what opens the page without a network."""
    return partial(offline, saved)


def stands(page: Any, update: int) -> None:
    """Wait until the page stands at an update."""
    page.wait_for_function(
        "(text) => document.querySelector('.where').textContent.startsWith(text)", arg=f"Update {update},"
    )


def test_it_opens_where_the_room_stood(read: Read, saved: Path) -> None:
    page = read()
    stands(page, UPDATES)
    assert saved.stat().st_size < 6_000_000
    told = page.locator("main").inner_text()
    held = re.search(rf"This page holds (\d+) of {UPDATES} updates and the start", told)
    assert held
    assert 50 < int(held[1]) == saved.read_text(encoding="utf-8").count('{"answer":{"is":"frame"') - 1
    assert f"After {UPDATES} updates it tells" in page.locator(".headline").inner_text()
    assert "Two runs, one start" in told
    assert "The kept run" in told
    rows = dict(zip(*(page.locator(f"aside {each}").all_inner_texts() for each in ("dt", "dd")), strict=True))
    assert (rows["Learning rate"], rows["Batch size"], rows["Layers and units"]) == ("0.3", "25", "3,2")
    assert page.locator("aside input, aside select").count() == 0
    for gone in ("Undo", "Save a replay page", "Keep this run to compare", "Add a hidden layer", "New start"):
        assert page.get_by_role("button", name=gone).count() == 0
    assert page.get_by_role("button", name="Feature x₁x₂").is_disabled()
    assert page.get_by_label("Show the test examples").is_checked()


def test_it_steps_scrubs_and_is_played_to_its_end(read: Read) -> None:
    page = read()
    stands(page, UPDATES)
    ended = page.evaluate(PAINTED)
    page.keyboard.press("Home")
    stands(page, 0)
    page.wait_for_timeout(50)
    assert page.evaluate(PAINTED) != ended
    for update in (1, 2):
        page.keyboard.press(".")
        stands(page, update)
    assert "Update 2," in page.locator(".headline").inner_text()
    page.keyboard.press(",")
    stands(page, 1)
    slider = page.get_by_label("Update shown")
    assert slider.get_attribute("max") == str(UPDATES)
    slider.press("ArrowRight")
    stands(page, 2)
    slider.evaluate("(at) => { at.value = 190; at.dispatchEvent(new Event('input', { bubbles: true })); }")
    page.wait_for_function("() => /^Update 1(8[5-9]|9\\d),/.test(document.querySelector('.where').textContent)")
    page.get_by_label("Speed").select_option(label="300/s")
    page.get_by_role("button", name="Back to the same start").click()
    stands(page, 0)
    page.get_by_role("button", name="Play", exact=True).click()
    stands(page, UPDATES)
    page.get_by_role("button", name="Play", exact=True).wait_for()
    page.wait_for_timeout(50)
    assert page.evaluate(PAINTED) == ended


def test_units_back_propagation_words_and_tables_are_there(read: Read) -> None:
    page = read()
    stands(page, UPDATES)
    page.get_by_role("button", name="Unit 1 of layer 2").click()
    page.get_by_role("heading", name="Unit 1 of layer 2: what it says").wait_for()
    assert page.get_by_role("region", name="Weights of a unit").get_by_role("row").count() == 5
    page.get_by_role("button", name="Show the stages").click()
    for _ in range(4):
        page.get_by_role("button", name="Next stage").click()
    stage = page.locator(".told").inner_text()
    page.keyboard.press("Home")
    stands(page, 0)
    assert page.locator(".told").inner_text() != stage
    page.get_by_label("Show only the decision").check()
    stands(page, 0)
    assert page.get_by_label("Update shown").get_attribute("max") == str(UPDATES)
    page.get_by_role("button", name="Words").first.click()
    assert page.locator("main figure table").first.get_by_role("row").count() > 10


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_nothing_in_it(read: Read, theme: str, language: str) -> None:
    page = read(color_scheme=theme)
    page.get_by_label(re.compile("Language|语言")).select_option(language)
    page.evaluate(axe())
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    assert not [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]]


def test_in_chinese_it_leaves_nothing_in_english(read: Read) -> None:
    page = read()
    page.get_by_label("Language").select_option("zh")
    assert f"本页保存了 {UPDATES} 次更新中的" in page.locator("main").inner_text()
    # What is announced follows a moment later.
    page.wait_for_function(f"(names) => ({LATIN_WORDS})(names).length === 0", arg=[*NAMES])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_fits_a_telephone(read: Read, language: str) -> None:
    page = read(viewport=PHONE, has_touch=True, is_mobile=True)
    page.get_by_label(re.compile("Language|语言")).select_option(language)
    assert page.evaluate(WIDER) == {"page": 0, "out": []}
