"""A picture of each room, as it stands in the READMEs: ``make pictures`` keeps what is taken here."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser.visit import ROOMS, Visit

Open = Callable[..., Visit]
SEEN = {"width": 1280, "height": 900}
SHARPNESS = 2
MOST_BYTES = 300_000
COLOURS = 128
UPDATES = 1500
SHOWN: dict[str, dict[str, str]] = {
    "one-weight": {"r": "2.7"},
    "two-weights": {"o": "plain,momentum@0.01,adam@1", "n": "400"},
    "batches": {},
    "valleys": {"f": "himmelblau", "r": "0.01"},
    "network": {"d": "spiral", "h": "8,8,6", "i": "x,y,x2,y2,xy,sinx,siny", "o": "adam", "r": "0.01"},
    "your-data": {"t": "miles_per_gallon"},
}
"""What each picture shows: settings of the room by their short names."""
README = {"en": "README.md", "zh": "README.zh-CN.md"}


def test_every_room_has_a_picture() -> None:
    assert sorted(SHOWN) == sorted(ROOMS)


@pytest.mark.parametrize("language", README)
@pytest.mark.parametrize("room", SHOWN)
def test_a_room_is_pictured(visit: Open, root: Path, tmp_path: Path, room: str, language: str) -> None:
    here = visit(viewport=SEEN, device_scale_factor=SHARPNESS).open(room, lang=language, **SHOWN[room])
    act_in(here, room, root)
    here.page.mouse.move(0, 0)
    here.page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    here.settle()
    taken = Path(os.environ.get("DOWNSLOPE_PICTURES", tmp_path)) / f"{room}.{language}.png"
    taken.parent.mkdir(parents=True, exist_ok=True)
    taken.write_bytes(packed(here.page.screenshot()))
    assert taken.stat().st_size <= MOST_BYTES
    with Image.open(taken) as image:
        assert image.size == (SHARPNESS * SEEN["width"], SHARPNESS * SEEN["height"])
        assert np.asarray(image.convert("L")).std() > 10
    assert f"docs/pictures/{taken.name}" in (root / README[language]).read_text(encoding="utf-8")
    assert (root / "docs" / "pictures" / taken.name).is_file(), "make pictures takes it"


def act_in(here: Visit, room: str, root: Path) -> None:
    """Bring a room to where it has something to show."""
    page = here.page
    if room == "your-data":
        page.locator("input[type=file]").set_input_files(root / "examples" / "cars.csv")
        here.until(lambda: bool(here.line.of("table")))
        fit = page.locator("aside button.fit, aside button[type=submit], aside button").first
        here.until(fit.is_enabled)
        fit.click()
        here.until(lambda: bool(here.line.of("fitted")))
        page.wait_for_timeout(300)
    elif room == "network":
        page.locator("button.play").click()
        here.until(lambda: updates_of(here) > UPDATES)
        page.locator("button.play").click()
    else:
        page.locator(".transport input[type=range]").first.press("End")


def updates_of(here: Visit) -> int:
    """Return the update that the room of networks stands at."""
    frames = here.line.of("frame", "network")
    return frames[-1][0]["update"] if frames else 0


def packed(png: bytes) -> bytes:
    """Return a picture of few colours, as a page of lines and flat fields is, in fewer bytes."""
    with Image.open(io.BytesIO(png)) as image:
        few: Any = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        kept = io.BytesIO()
        few.save(kept, "PNG", optimize=True)
        return kept.getvalue()
