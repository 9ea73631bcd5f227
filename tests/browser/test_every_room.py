"""What holds in every room, in both languages and both themes, on a desk and on a telephone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.visit import PHONE, ROOMS, TABLES, Visit, axe

Open = Callable[..., Visit]
NAMES = (
    "Downslope", "Himmelblau", "Rosenbrock", "Beale", "Ackley", "Nesterov", "AdaGrad", "RMSProp", "Adam", "AdamW",
    "Lion", "Prodigy", "Schedule-free", "Huber", "Python", "PNG", "SVG", "CSV", "HTML", "Home", "End", "ReLU",
    "JSON", "English", "NaN", "MB", "tanh", "sin", "xlsx", "csv", "tsv", "parquet", "TSV", "sigmoid", "leaky", "GELU",
    "SiLU", "softplus", "Glorot", "He", "LeCun", "Space",
)  # fmt: skip
"""What is called the same in Chinese: proper names, functions, kinds of files, units and keys."""
LATIN_WORDS = """
(names) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  const own = (text) => (text.match(/[A-Za-z][A-Za-z-]+/g) ?? []).filter((word) => !names.includes(word));
  const code = "code, pre, script, style, textarea, noscript, .formula, [lang=en]";
  while (walker.nextNode()) {
    const at = walker.currentNode;
    if (!at.parentElement.closest(code)) found.push(...own(at.data));
  }
  for (const name of ["aria-label", "title", "placeholder", "aria-valuetext"]) {
    for (const at of document.querySelectorAll(`[${name}]`)) found.push(...own(at.getAttribute(name)));
  }
  found.push(...own(document.title));
  return [...new Set(found)];
}
"""
WIDER = """
() => {
  const wide = document.documentElement.clientWidth;
  const held = (at) => {
    for (let each = at.parentElement; each; each = each.parentElement) {
      if (/auto|scroll|hidden|clip/.test(getComputedStyle(each).overflowX)) return true;
    }
    return false;
  };
  const out = [...document.querySelectorAll("main *, header *")].filter((at) => {
    const box = at.getBoundingClientRect();
    return box.width > 0 && (box.right > wide + 1 || box.left < -1) && !held(at) && !at.closest(".hidden, .skip");
  });
  const page = document.documentElement.scrollWidth - wide;
  return { page, out: out.slice(0, 5).map((at) => at.outerHTML.slice(0, 120)) };
}
"""


def test_every_room_of_the_engine_has_its_tab(visit: Open) -> None:
    tabs = visit().open("one-weight").page.get_by_role("tab").all()
    assert [each.get_attribute("id").split("-", 1)[1] for each in tabs] == list(TABLES)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(visit: Open, room: str, theme: str) -> None:
    page = visit(color_scheme=theme).open(room).page
    page.evaluate(axe())
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    assert not [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]]
    assert page.evaluate("() => document.documentElement.dataset.theme") == theme


@pytest.mark.parametrize("room", ROOMS)
def test_in_chinese_nothing_is_left_in_english(visit: Open, room: str) -> None:
    page = visit().open(room, lang="zh").page
    assert page.evaluate("() => document.documentElement.lang") == "zh-CN"
    assert page.evaluate(LATIN_WORDS, list(NAMES)) == []


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_telephone_needs_no_scrolling_sideways(visit: Open, room: str, language: str) -> None:
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True).open(room, lang=language).page
    assert page.evaluate(WIDER) == {"page": 0, "out": []}


@pytest.mark.parametrize("room", ROOMS)
def test_every_picture_has_a_title_and_words(visit: Open, room: str) -> None:
    page = visit().open(room).page
    figures = page.locator("main figure").all()
    for figure in figures:
        title = page.locator(f"[id='{figure.get_attribute('aria-labelledby')}']").inner_text()
        words = page.locator(f"[id='{figure.get_attribute('aria-describedby')}']").text_content()
        assert title.strip()
        assert words.strip(), title
    assert figures or room == "your-data"
