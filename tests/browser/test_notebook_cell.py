"""The widgets in a real JupyterLab: a record in a cell, and the playground with its engine in the kernel."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tools import front_end

CELLS = (
    'import downslope as ds\nrun = ds.fit("{cars}", "miles_per_gallon", runs=None)\nrun.show()',
    'ds.play_here(room="one-weight", state={{"rate": 4.0}})',
)
PATIENCE = 90.0
"""Seconds that a notebook may take to start its kernel, import, fit and draw."""


def notebook(cells: tuple[str, ...]) -> dict[str, Any]:
    """Return a notebook with cells of code that have not run."""
    written = [
        {"cell_type": "code", "id": f"cell-{index}", "metadata": {}, "execution_count": None, "outputs": [],
         "source": each} for index, each in enumerate(cells)
    ]  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": written}


@contextmanager
def jupyter(folder: Path) -> Iterator[str]:
    """Run JupyterLab in a folder, with settings of its own and nothing to ask the network for."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None",
        "--LabApp.collaborative=False", "--log-level=ERROR",
    ]  # fmt: skip
    own = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    own["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")
    with subprocess.Popen(command, env={**os.environ, **own}, cwd=folder) as process:
        try:
            link = f"http://127.0.0.1:{port}"
            _wait_for(f"{link}/api?token={token}")
            yield f"{link}/lab/tree/{{name}}?token={token}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(address: str) -> None:
    began = time.monotonic()
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                answer.read()
                return
        except OSError:
            assert time.monotonic() - began < PATIENCE, "JupyterLab does not answer"
            time.sleep(0.2)


def run_all(page: Any) -> None:
    """Run all cells; JupyterLab forgets it where the kernel is not there yet, so it is asked until a cell has begun."""
    begun = page.locator(".jp-Notebook .jp-InputPrompt", has_text=re.compile(r"\[(\*|\d+)\]"))
    ends = time.monotonic() + PATIENCE
    while not begun.count():
        assert time.monotonic() < ends, "no cell was run"
        page.locator(".lm-MenuBar-item", has_text="Run").click()
        page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()
        for _ in range(50):
            if begun.count():
                return
            page.wait_for_timeout(100)


@pytest.mark.timeout(300)
def test_a_run_and_the_playground_are_drawn_in_a_notebook(chromium: Any, root: Path, tmp_path: Path) -> None:
    if not front_end.is_built():
        front_end.build()
    cells = tuple(each.format(cars=root / "examples" / "cars.csv") for each in CELLS)
    (tmp_path / "show.ipynb").write_text(json.dumps(notebook(cells)))
    with jupyter(tmp_path) as link:
        context = chromium.new_context(viewport={"width": 1400, "height": 1000}, locale="en-US")
        asked: list[str] = []
        try:
            page = context.new_page()
            page.set_default_timeout(1000 * PATIENCE)
            page.on("request", lambda request: asked.append(request.url))
            page.goto(link.format(name="show.ipynb"))
            page.locator(".jp-Notebook .jp-CodeCell").nth(1).wait_for()
            run_all(page)
            shown = page.locator(".jp-OutputArea-output .downslope")
            shown.nth(1).locator("figure svg").first.wait_for()
            record, room = shown.nth(0), shown.nth(1)
            assert "Converged" in record.inner_text()
            assert record.locator("figure svg, figure canvas").count() >= 1
            axis = room.locator("figure", has_text="from too slow to too large").locator("svg")
            assert "2/f″ = 3.2" in axis.text_content()
            rate = room.get_by_role("slider", name="Learning rate").first
            assert rate.get_attribute("aria-valuetext") == "4, diverges"
            number = room.locator("aside .field", has_text="Learning rate").locator("input[type=text]").first
            number.fill("1.6")
            number.press("Enter")
            room.get_by_label("Step shown").press("End")
            room.get_by_text("Landed in 1 step").first.wait_for()
        finally:
            context.close()
    own = link.split("/lab/")[0]
    assert [each for each in asked if not each.startswith((own, "data:", "blob:"))] == []
