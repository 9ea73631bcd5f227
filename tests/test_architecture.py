"""docs/architecture.md says what is: its rooms are the folders, its arrows the contracts, and the imports obey."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import grimp
import pytest

PACKAGE = "downslope"
Arrows = set[tuple[str, str]]


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def contracts(root: Path) -> list[dict[str, Any]]:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["tool"]["importlinter"]["contracts"]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)


def table(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column is called ``heading``."""
    lines = page.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(f"| {heading} |")) + 2
    rows: list[list[str]] = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", cell))


def rooms_on_the_page(page: str) -> list[str]:
    return [row[0].strip("`") for row in table(page, "room")]


def arrows_on_the_page(page: str) -> Arrows:
    arrows: Arrows = set()
    above: list[str] = []
    for cell, _, imports in table(page, "room"):
        room = cell.strip("`")
        arrows |= {(room, other) for other in (above if imports == "all above" else names(imports))}
        above.append(room)
    return arrows


def layers(contracts: list[dict[str, Any]]) -> list[str]:
    """Return the layers of the one contract of that type, lowest first."""
    (contract,) = [each for each in contracts if each["type"] == "layers"]
    return [layer.strip("()") for layer in reversed(contract["layers"])]


def inside(contract: dict[str, Any]) -> Arrows:
    """Return the arrows between rooms that a forbidden contract takes away."""
    room = f"{PACKAGE}."
    return {
        (source.removeprefix(room), target.removeprefix(room))
        for source in contract["source_modules"]
        for target in contract["forbidden_modules"]
        if source.startswith(room) and target.startswith(room)
    }


def arrows_of_the_contracts(contracts: list[dict[str, Any]]) -> Arrows:
    order = layers(contracts)
    arrows = {(room, other) for i, room in enumerate(order) for other in order[:i]}
    for contract in contracts:
        if contract["type"] == "forbidden":
            arrows -= inside(contract)
    return arrows


def outside_parts_of_the_contracts(contracts: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Return part -> rooms that may import it, for each part forbidden to the package as a whole."""
    parts: dict[str, set[str]] = {}
    for contract in contracts:
        if contract["type"] == "forbidden" and contract["source_modules"] == [PACKAGE]:
            parts |= {part: set() for part in contract["forbidden_modules"]}
            for ignored in contract.get("ignore_imports", []):
                importer, part = ignored.split(" -> ")
                parts[part].add(importer.split(".")[1])
    return parts


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 and not parts[1].startswith("__") else None


def imports_between_rooms(graph: grimp.ImportGraph) -> Arrows:
    return {
        (source, target)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if (source := room_of(module)) and (target := room_of(imported)) and source != target
    }


def test_the_rooms_are_the_folders(page: str, root: Path) -> None:
    there = {
        each.stem
        for each in (root / "src" / PACKAGE).iterdir()
        if (each.suffix == ".py" and not each.stem.startswith("__")) or (each / "__init__.py").exists()
    }
    assert set(rooms_on_the_page(page)) == there


def test_the_rooms_stand_in_the_order_of_the_layers(page: str, contracts: list[dict[str, Any]]) -> None:
    assert rooms_on_the_page(page) == layers(contracts)


def test_the_arrows_are_the_contracts(page: str, contracts: list[dict[str, Any]]) -> None:
    assert arrows_on_the_page(page) == arrows_of_the_contracts(contracts)


def test_the_imports_obey_the_arrows(page: str, graph: grimp.ImportGraph) -> None:
    imports = imports_between_rooms(graph)
    assert imports, "no import between rooms was found, so nothing was checked"
    assert imports <= arrows_on_the_page(page)


def test_the_outside_parts_are_the_contracts(page: str, contracts: list[dict[str, Any]]) -> None:
    written = {row[0].strip("`"): names(row[1]) for row in table(page, "part")}
    assert written == outside_parts_of_the_contracts(contracts)


def test_the_imports_obey_the_outside_parts(page: str, graph: grimp.ImportGraph) -> None:
    for part, rooms in ((row[0].strip("`"), names(row[1])) for row in table(page, "part")):
        importers = graph.find_modules_that_directly_import(part) if part in graph.modules else set()
        assert {room_of(each) for each in importers} <= rooms, part
