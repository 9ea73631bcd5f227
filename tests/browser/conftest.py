"""One browser and one playground for all of these tests, and a fresh, watched page for each.

Without a browser they are skipped, and the summary says so loudly; with DOWNSLOPE_BROWSER=required, as in CI, they
fail. ``make test`` installs Debian's Chromium where it can.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.browser.visit import WIDE, Visit
from tools import browser as tool

SKIPPED = "no Chromium: the browser tests did not run"
seen: list[str] = []
"""Why tests were skipped."""


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """Return the browser."""
    if tool.find_browser() is None:
        if os.environ.get("DOWNSLOPE_BROWSER") == "required":
            pytest.fail("DOWNSLOPE_BROWSER=required, but there is no Chromium; on Debian: apt-get install chromium")
        seen.append(SKIPPED)
        pytest.skip(SKIPPED)
    with tool.chromium() as running:
        yield running


@pytest.fixture(scope="package")
def playground(chromium: Any) -> Iterator[tool.Playground]:
    """Return a playground that runs as a person runs it."""
    del chromium  # where there is no browser, no server is needed
    with tool.playground() as running:
        yield running


@pytest.fixture
def visit(chromium: Any, playground: tool.Playground) -> Iterator[Callable[..., Visit]]:
    """Return what opens a page of the playground in a context of its own; see ``Visit.begin`` for its options.

    At the end every page must have spoken to its own server alone, and nothing may have gone wrong in its console.
    """
    with ExitStack() as stack:
        pages: list[Visit] = []

        def begin(**options: Any) -> Visit:
            page = Visit.begin(chromium, playground, **options)
            stack.callback(page.context.close)
            pages.append(page)
            return page

        yield begin
        for page in pages:
            page.check()


@pytest.fixture
def offline(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Return what opens a file in a browser that has no network; it must ask for nothing, and nothing may go wrong."""
    contexts: list[Any] = []
    strange: list[str] = []

    def asked(request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            strange.append(request.url)

    def told(message: Any) -> None:
        if message.type in ("error", "warning"):
            strange.append(message.text)

    def open_page(path: Path, **options: Any) -> Any:
        given = {"viewport": WIDE, "locale": "en-US", "color_scheme": "light", **options}
        context = chromium.new_context(offline=True, **given)
        contexts.append(context)
        page = context.new_page()
        page.on("request", asked)
        page.on("pageerror", lambda error: strange.append(str(error)))  # pyright: ignore[reportUnknownLambdaType]
        page.on("console", told)
        page.goto(path.as_uri())
        page.locator("main h1, main h2").first.wait_for()
        return page

    yield open_page
    for each in contexts:
        each.close()
    assert not strange


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly what was left out."""
    for why in dict.fromkeys(seen):
        terminalreporter.write_sep("!", f"{why}; on Debian: apt-get install chromium", red=True, bold=True)
