"""Whatever the engine says has its Chinese, with the same values; and nothing that it says to a page is English alone.

The sources are read as an extractor of gettext reads them: what ``say`` is called with is a sentence, and so is what
``plural`` counts.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

from downslope import words
from downslope.data.columns import CLOCK_PARTS, DAY_PARTS
from downslope.records import GapKind
from downslope.records.spec import LOSSES, NETWORK_RULES, RULES
from downslope.words.zh import PARTS, SENTENCES
from downslope.words.zh.figures import NAMES

SOURCE = Path(words.__file__).parents[1]
SPEAKING = (
    "certificate", "choices", "data", "diagnosis", "errors", "fitting", "losses", "models", "playground", "records",
    "steps", "training",
)  # fmt: skip
"""Rooms whose errors a page or the command line can show."""

ALL_SAID = ("certificate", "choices", "diagnosis", "errors", "losses", "models/network", "training")
"""Rooms with hardly a text that is no sentence: what is one cannot hide in them anywhere."""

SILENT = (
    "data/images", "data/large", "fitting/axes", "fitting/basins", "fitting/images", "fitting/keeping",
    "fitting/minimize", "fitting/race", "fitting/resume", "fitting/slices", "fitting/sweep", "playground/clock",
    "playground/gate", "playground/inbox", "playground/page", "playground/replay", "playground/rooms/network_code",
    "playground/server", "playground/wire", "records/files",
)  # fmt: skip
"""What speaks to the terminal, to Python or to the log alone: a fit of a table or a room of a page never gets there."""

PROSE = re.compile(r"[A-Za-z]{2,},? [A-Za-z]{2,}|^[a-z]{3,}[:;] |[a-z]{3,}[:;,]? $|^ [a-z]{2,}")
"""What looks like a sentence or a part of one."""

INTERNAL = ("plural", "cast", "exception", "ValueError", "IndexError", "TypeError")
"""What else takes a text that no page shows."""

RECOGNISED = {"no further progress", "left out: ", "the array"}
"""Texts that are looked for and not said."""

CHECKPOINTS = {
    "batches in rounds", "network in rounds", "batches at one rate", "batches at several rates", "function, scaled",
    "one pass",
}  # fmt: skip
"""What checkpoints call themselves; ``named`` says it."""

ONLY_VALUES = re.compile(r"(?:\{\w+\})*")
HAN = re.compile(r"[\u4e00-\u9fff]")


@cache
def modules() -> dict[str, ast.Module]:
    """The modules of the package by their path, without the catalogues."""
    paths = [each for each in sorted(SOURCE.rglob("*.py")) if "words" not in each.relative_to(SOURCE).parts]
    return {each.relative_to(SOURCE).as_posix(): ast.parse(each.read_text(encoding="utf-8")) for each in paths}


def called(node: ast.AST) -> str:
    """The name of the function that a node calls, with that of its module where it is one; empty for no call."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return f"words.{node.func.attr}" if getattr(node.func.value, "id", "") == "words" else node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


@cache
def sentences_of(path: str) -> list[ast.Call]:
    """The calls in a module that make a sentence; the ``say`` of the rooms, which takes a key, makes none."""
    tree = modules()[path]
    taken = [each for each in ast.walk(tree) if isinstance(each, ast.ImportFrom) and each.module == "downslope.words"]
    names = {"words.say", *(name.name for each in taken for name in each.names if name.name == "say")}
    return [each for each in ast.walk(tree) if isinstance(each, ast.Call) and called(each) in names]


@cache
def said() -> dict[str, list[str]]:
    """Every template, and where it is said."""
    found: dict[str, list[str]] = {}
    for path, tree in modules().items():
        for node in sentences_of(path):
            (template,) = node.args
            assert isinstance(template, ast.Constant), f"{path}:{node.lineno}: a template is written out"
            found.setdefault(str(template.value), []).append(f"{path}:{node.lineno}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) == "plural" and isinstance(node.args[1], ast.Constant):
                found.setdefault(f"{{count}} {node.args[1].value}", []).append(f"{path}:{node.lineno}")
    return found


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def terminal_only(places: list[str]) -> bool:
    return all(each.startswith(("cli/", "views/")) for each in places)


def test_the_sources_are_read() -> None:
    assert len(said()) > 400
    assert "{count} row" in said()
    assert "Learning rate above the stability limit" in said()


def test_every_sentence_has_its_chinese() -> None:
    needed = {template: places for template, places in said().items() if not ONLY_VALUES.fullmatch(template)}
    missing = {template: places for template, places in needed.items() if template not in SENTENCES}
    assert not {template: places for template, places in missing.items() if not terminal_only(places)}


def test_no_chinese_is_left_over() -> None:
    assert set(SENTENCES) - set(said()) - set(NAMES) == set()


def test_no_sentence_is_in_two_parts_of_the_catalogue() -> None:
    counts = Counter(template for part in PARTS for template in part)
    assert [template for template, times in counts.items() if times > 1] == []


@pytest.mark.parametrize("template", list(SENTENCES))
def test_the_chinese_has_the_same_values(template: str) -> None:
    chinese = SENTENCES[template]
    assert fields(chinese) == fields(template)
    assert not re.search(r"[\u4e00-\u9fff][,;:?!]", chinese), "marks after Chinese are full-width"
    assert not re.search(r"[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9][\u4e00-\u9fff]", chinese), "a space is between"
    assert (template.endswith(".")) == (chinese.endswith("。")), "it ends as its English does"


def test_every_sentence_of_the_catalogue_is_chinese() -> None:
    options = re.compile(r"(--[\w-]+ ?[\w-]*|\{\w+\}|[\W\d_])*")
    known = {"R²", "AUC", "Nesterov", "AdaGrad", "RMSProp", "Adam", "AdamW", "Lion", "Prodigy", "Schedule-free"}
    plain = {each for each in SENTENCES.values() if not HAN.search(each) and each.strip() not in known}
    assert {each for each in plain if not options.fullmatch(each)} <= {"Huber", "softmax"}


def test_the_values_of_a_sentence_are_no_english_of_their_own() -> None:
    bare: list[str] = []
    for path in modules():
        for node in sentences_of(path):
            for each in node.keywords:
                chosen = [each.value.body, each.value.orelse] if isinstance(each.value, ast.IfExp) else [each.value]
                told = [part.value for part in chosen if isinstance(part, ast.Constant)]
                bare += [f"{path}:{node.lineno} {part}" for part in told if isinstance(part, str) and part]
    assert [each for each in bare if not each.endswith(" auto")] == []


def test_a_sentence_names_the_values_that_it_is_given() -> None:
    for path in modules():
        for node in sentences_of(path):
            assert isinstance(node.args[0], ast.Constant)
            given = {each.arg for each in node.keywords}
            assert None in given or fields(str(node.args[0].value)) == given, f"{path}:{node.lineno}"


def spared(path: str) -> set[ast.AST]:
    """What is said, what is written for readers of the code, and what no page shows."""
    tree = modules()[path]
    found = {each for call in sentences_of(path) for each in ast.walk(call)}
    for node in ast.walk(tree):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or called(node) in INTERNAL:
            found |= set(ast.walk(node))
    return found


def english(path: str, within: list[ast.AST]) -> Iterator[str]:
    """Yield the texts within some parts of a module that look like English and are not said."""
    kept = spared(path)
    for node in (each for part in within for each in ast.walk(part)):
        text = node.value if isinstance(node, ast.Constant) and node not in kept else None
        if isinstance(text, str) and PROSE.search(text) and text not in RECOGNISED | CHECKPOINTS:
            yield f"{path}:{node.lineno} {text}"


def errors_of(path: str) -> list[ast.AST]:
    """What a module gives to the errors that it raises, and what it calls a message, a reason or a title."""
    found: list[ast.AST] = []
    for node in ast.walk(modules()[path]):
        if called(node).endswith("Error"):
            found.append(node)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("message", "reason", "why"):
            found.append(node.value)
    return found


def test_no_room_has_a_sentence_in_english_alone() -> None:
    rooms = [path for path in modules() if path.startswith(ALL_SAID)]
    assert [text for path in rooms for text in english(path, [modules()[path]])] == []


def test_no_error_is_in_english_alone() -> None:
    speaking = [path for path in modules() if path.startswith(SPEAKING) and not path.startswith(SILENT)]
    assert sum(len(errors_of(path)) for path in speaking) > 200, "the errors are not found"
    assert [text for path in speaking for text in english(path, errors_of(path))] == []


def test_the_names_of_options_have_words() -> None:
    assert {*LOSSES, *RULES, *NETWORK_RULES, *DAY_PARTS, *CLOCK_PARTS, *CHECKPOINTS} - {"auto"} <= set(NAMES)
    assert {GapKind.CERTIFIED.value, GapKind.ESTIMATED.value} <= set(NAMES)
