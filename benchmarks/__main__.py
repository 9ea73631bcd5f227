"""Run the benchmarks: ``python -m benchmarks [names...] [--quick] [--unseen] [--readme] [--data DIR]``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks import (
    disk,
    engine_speed,
    footprint,
    generators,
    kept,
    large,
    machine,
    networks,
    ours,
    playground,
    problems,
    race,
    results,
    score,
    text,
)
from benchmarks.problems import Problem
from benchmarks.race import TARGETS, Effort, Entry
from benchmarks.reference import reference
from benchmarks.results import Figure, Results, seconds

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CACHE = ROOT / "build" / "benchmarks"
PAGES = ("disk", "engine", "footprint", "large", "networks", "playground", "score", "text")
WANTED = {"softmax": 3.0, "squared": 5.0}
"""How many times faster than the best (for squared: the best iterative) peer; 5 where not named."""


def say(line: str) -> None:
    """Report progress on stderr."""
    print(line, file=sys.stderr, flush=True)


def data_folder(given: str | None) -> Path:
    """Return the folder of the public tables: the one given, or ``shared/data`` beside or above the checkout."""
    beside = [ROOT / "shared" / "data", ROOT.parent / "shared" / "data", ROOT / "data"]
    for folder in [Path(given)] if given else beside:
        if (folder / "flights.parquet").exists():
            return folder
    sys.exit(
        "The tables are not found; name with --data the folder that holds flights.parquet, california_housing.parquet, "
        "diamonds.csv and fashion-mnist/."
    )


def raced(problem: Problem, effort: Effort, peers: bool) -> tuple[str, list[Entry]]:
    """Race one problem; return its title and entries, ours first."""
    say(f"{problem.name}: finding the minimum of {problem.rows:,} x {problem.X.shape[1]} in float64")
    minimum = reference(problem, CACHE)
    say(f"  minimum {minimum.value:.10g}, proved to {minimum.proved:.0e} of the drop")
    mine = ours.entry(problem, minimum, effort)
    say(f"  {race.describe(mine)}")
    alike = mine  # a squared loss is solved at once: there is no budget to search
    if problem.loss != "squared":
        alike = race.at_best(ours.oracle(), problem, minimum, effort)
        say(f"  {race.describe(alike)}")
    slowest = max((each.timing.seconds for each in alike.reached.values()), default=0.0)
    patient = replace(effort, limit=max(effort.limit, WANTED.get(problem.loss, 5.0) * slowest))
    others = race.race(problem, minimum, CACHE, patient, lambda line: say(f"  {line}")) if peers else []
    size = f"{problem.rows:,} x {problem.X.shape[1]}"
    title = problem.title if size in problem.title else f"{problem.title}, {size}"
    return title, [alike, mine, *others]


def race_figures(problem: Problem, entries: list[Entry]) -> list[Figure]:
    """Return the claims about one race: ours against the fastest peer at each target."""
    alike, whole, others = entries[0], entries[1], entries[2:]
    direct = [each for each in others if each.name in DIRECT]
    rivals = [each for each in others if each.name not in DIRECT]
    figures = []
    for target in TARGETS:
        wanted = WANTED.get(problem.loss, 5.0)
        figures += _against(problem, f"to gap {target:g}", target, alike, rivals, wanted)
        figures += _against(problem, f"to gap {target:g} and its proof", target, whole, rivals, 1.0)
        figures += _against(problem, f"to gap {target:g}", target, alike, direct, 1.0)
    return figures


DIRECT = ("sklearn Ridge auto", "sklearn Ridge cholesky", "sklearn Ridge svd")


def _against(
    problem: Problem, words: str, target: float, mine: Entry, rivals: list[Entry], wanted: float
) -> list[Figure]:
    best = race.fastest(rivals, target)
    if best is None:
        return []
    theirs = best.reached[target].timing
    hit = mine.reached.get(target)
    name = f"{best.name}{f' ({best.setting})' if best.setting else ''}"
    claim = f"{problem.title}, {words}"
    if hit is None:
        return [Figure(claim, f"not met, {mine.lowest:.1e}", seconds(theirs.seconds), name, 0.0, wanted)]
    ratio = theirs.seconds / hit.timing.seconds
    return [Figure(claim, seconds(hit.timing.seconds), seconds(theirs.seconds), name, ratio, wanted)]


def score_figures() -> tuple[list[Figure], list[str]]:
    """Return the no-settings score of the worst problem, and all nine as notes."""
    found = score.scores()
    worst = min(found, key=lambda each: each.share)
    notes = [
        f"No settings, {each.name}: {each.share:.4f} of the drop of tuned SGD (start {each.start:.4g}, tuned "
        f"{each.best:.4g} at rate {each.rate:.1e}, ours {each.reached:.4g})"
        for each in found
    ]
    for note in notes:
        say(f"  {note}")
    figure = Figure(
        "no-settings score, worst of nine", f"{worst.reached:.4g}", f"{worst.best:.4g}", f"tuned SGD on {worst.name}",
        worst.share, 0.98, unit=" of its drop",
    )  # fmt: skip
    return [figure], notes


def parsed() -> argparse.Namespace:
    """Return the arguments."""
    names = [*problems.PROBLEMS, *PAGES, *generators.UNSEEN]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure downslope against its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to run (default: all): " + ", ".join(names))
    parser.add_argument("--quick", action="store_true", help="three runs each, and less patience with slow peers")
    parser.add_argument("--unseen", action="store_true", help="also run the generated problems")
    parser.add_argument("--ours", action="store_true", help="time downslope alone, no peers")
    parser.add_argument("--largest", action="store_true", help="also fit 100 million rows (large; 5 GB of disk)")
    parser.add_argument("--readme", action="store_true", help="also fill the table of README.md and README.zh-CN.md")
    parser.add_argument("--data", metavar="DIR", help="folder of the public tables")
    given = parser.parse_args()
    unknown = [each for each in given.names if each not in names]
    if unknown:
        parser.error(f"there is no benchmark called {unknown[0]}; there are: {', '.join(names)}")
    given.names = given.names or [*problems.PROBLEMS, *PAGES, *(generators.UNSEEN if given.unseen else [])]
    return given


def page_of(name: str, folder: Path, flights: Problem, effort: Effort, largest: bool) -> Results:
    """Return what a page that is no race measures."""
    examples = ROOT / "examples"
    if name == "score":
        figures, notes = score_figures()
        return Results({}, figures, notes=notes)
    if name == "text":
        figures, notes = text.figures(CACHE / "text", effort.repeats)
        return Results({}, figures, notes=notes)
    measured: dict[str, Callable[[], list[Figure]]] = {
        "disk": lambda: disk.figures(examples, effort),
        "engine": lambda: engine_speed.figures(flights, effort),
        "footprint": lambda: footprint.figures(flights, examples, effort),
        "large": lambda: large.figures(largest),
        "networks": lambda: networks.figures(folder, effort),
        "playground": lambda: playground.figures(effort),
    }
    return Results({}, measured[name]())


def race_of(make: Callable[[Path], Problem], folder: Path, effort: Effort, peers: bool) -> Results:
    """Return what the race of one problem measures."""
    problem = make(folder)
    title, entries = raced(problem, effort, peers)
    return Results({}, race_figures(problem, entries), [(title, entries)])


def main() -> None:
    """Run what was asked for, print the tables, and write ``RESULTS.md`` from the last measurement of every page."""
    warnings.simplefilter("ignore")
    given = parsed()
    effort = Effort(limit=4, repeats=3, screening=0.7) if given.quick else Effort()
    folder = data_folder(given.data)
    flights = problems.log_flights(folder)
    machine_now = {**machine.describe(), **engine_speed.ceilings(flights)}
    machine_now["kernels of one pass, compiled or loaded from the cache"] = seconds(
        engine_speed.compile_seconds(flights)
    )
    races = {**problems.PROBLEMS, **generators.UNSEEN}
    for name in given.names:
        if name in races:
            found = race_of(races[name], folder, effort, not given.ours)
        else:
            found = page_of(name, folder, flights, effort, given.largest)
        results.show(found)
        if given.ours and name in races:
            continue
        kept.keep(CACHE / "pages", name, found)
        whole = kept.gather(CACHE / "pages", [*races, *PAGES], machine_now)
        (HERE / "RESULTS.md").write_text(results.page(whole), encoding="utf-8")
    if given.readme:
        whole = kept.gather(CACHE / "pages", [*problems.PROBLEMS, *PAGES], machine_now)
        for readme in (ROOT / "README.md", ROOT / "README.zh-CN.md"):
            if not results.fill_readme(readme, whole):
                say(f"{readme.name} has no bench markers; its table is left alone")


if __name__ == "__main__":
    main()
