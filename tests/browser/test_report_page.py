"""A report as a reader gets it: one file, opened from disk, with the network off."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import downslope as ds
from tests.browser.test_every_room import LATIN_WORDS, NAMES, WIDER
from tests.browser.test_keyboard import FOCUSED, REACHABLE
from tests.browser.visit import PHONE, axe
from tools import front_end

Read = Callable[..., Any]
COLUMNS = (
    "name miles per gallon cylinders displacement horsepower weight in lbs acceleration year origin USA Japan Europe"
)
IN_A_REPORT = (*COLUMNS.split(), "cars", "is", "missing", "downslope", "DS", "python", "numpy", "e-")
"""What a report calls the same in Chinese besides: the columns of the table, codes of findings, packages, powers."""


@pytest.fixture(scope="module")
def report(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a fit, written as the command does."""
    if not front_end.is_built():
        front_end.build()
    run = ds.fit(str(root / "examples" / "cars.csv"), "miles_per_gallon", runs=None)
    return Path(run.report(tmp_path_factory.mktemp("report") / "cars.html"))


@pytest.fixture
def read(offline: Callable[..., Any], report: Path) -> Read:
    """Return what opens the report without a network."""
    return partial(offline, report)


def test_the_report_opens_from_disk_with_the_network_off(read: Read) -> None:
    page = read()
    told = page.locator("main").inner_text()
    assert "Converged" in told
    assert "DS304" in told
    assert "318 rows" in told
    assert page.locator("main figure svg, main figure canvas").count() >= 1
    page.get_by_label("Language").select_option("zh")
    assert "已收敛" in page.locator("main").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_nothing_in_a_report(read: Read, theme: str, language: str) -> None:
    page = read(color_scheme=theme, locale={"en": "en-US", "zh": "zh-CN"}[language])
    page.evaluate(axe())
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    assert not [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]]


def test_a_report_in_chinese_leaves_nothing_in_english(read: Read) -> None:
    page = read(locale="zh-CN")
    assert page.evaluate("() => document.documentElement.lang") == "zh-CN"
    assert page.evaluate(LATIN_WORDS, [*NAMES, *IN_A_REPORT]) == []


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_report_fits_a_telephone(read: Read, locale: str) -> None:
    page = read(viewport=PHONE, has_touch=True, is_mobile=True, locale=locale)
    assert page.evaluate(WIDER) == {"page": 0, "out": []}


def test_a_report_is_read_by_keyboard(read: Read) -> None:
    page = read()
    wanted, stops = page.evaluate(REACHABLE), {}
    for _ in range(200):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at is None or at["stop"] in stops:
            break
        stops[at["stop"]] = at
    assert len(stops) == wanted
    assert [each["what"] for each in stops.values() if not (each["seen"] and each["marked"])] == []
