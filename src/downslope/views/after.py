"""What is known after the last step: the descent, the distance left, the scores, the weights, the findings."""

from __future__ import annotations

import math
from collections.abc import Mapping

from downslope.records import Coefficient, GapKind, Run, Verdict
from downslope.records.figures import duration, figure, plural, share
from downslope.records.networks import has_hidden_layers, is_network
from downslope.records.scores import SCORES
from downslope.views.curve import curve_of, last_known
from downslope.views.measured import end_point
from downslope.views.parts import Facts, Part, Section, Table, Text, Tone, texts

STRONGEST = 5
"""Coefficients named."""

BAR = 16
"""Characters of the bar of the strongest."""

TONES = {
    Verdict.CONVERGED: Tone.GOOD,
    Verdict.BUDGET: Tone.WARN,
    Verdict.STOPPED: Tone.WARN,
    Verdict.DIVERGED: Tone.BAD,
}


def descent_section(run: Run) -> Section:
    """Show how the loss went down: a curve, and its two ends in numbers."""
    curve, last = curve_of(run), last_known(run.steps)
    reached = run.objective if math.isfinite(run.objective) or last is None else last.objective
    words = f"objective {figure(run.objective_at_start, 4)} at the start, {figure(reached, 4)} at the end"
    work = f"{plural(run.updates, 'update')}, {plural_passes(run.passes)}{_shortened(run)}"
    parts: tuple[Part, ...] = (Text(f"{words}; {work}"),)
    return Section("How the loss went down", (curve, *parts) if curve else parts)


def _shortened(run: Run) -> str:
    """Say how many gradients a clip shortened, empty where none was asked for."""
    shortened = run.resolved.get("clipped")
    if run.spec.clip is None or not isinstance(shortened, int):
        return ""
    return f"; {plural(shortened, 'gradient')} shortened to {figure(run.spec.clip)}"


def plural_passes(passes: float) -> str:
    """Return passes over the data in words, with a decimal where it tells."""
    return f"{figure(passes, 2) if passes < 10 else figure(round(passes))} {'pass' if passes == 1 else 'passes'}"


def distance_section(run: Run) -> Section:
    """Say how the run ended and how far the minimum still is, and how well that is known."""
    verdict = ("verdict", Text(run.message or run.verdict.value, TONES[run.verdict]))
    rows = [verdict, *end_point(run), ("gap", Text(_distance(run)))]
    if run.verdict != Verdict.CONVERGED and math.isfinite(run.predicted_passes):
        rows.append(("to come", Text(f"at least {plural_passes(run.predicted_passes)}, going by the pace so far")))
    return Section("Where it ended" if is_network(run) else "How far the minimum still is", (Facts(tuple(rows)),))


def _distance(run: Run) -> str:
    if run.gap_kind == GapKind.NONE or not math.isfinite(run.gap):
        return "not known: a network has many minima, and no proof of one" if has_hidden_layers(run) else "not known"
    kind = "certified: proved in float64" if run.gap_kind == GapKind.CERTIFIED else "estimated, not proved"
    bound = "at most" if run.gap_kind == GapKind.CERTIFIED else "about"
    return f"{figure(run.gap, 2)}: {bound} {share(run.gap)} of the loss drop possible is left ({kind})"


def scores_section(run: Run) -> Section:
    """Put the scores on training rows, held-out rows and of the baseline side by side."""
    tables = {"train": run.train, "held out": run.holdout, "baseline": run.baseline}
    columns = {name: scores for name, scores in tables.items() if scores}
    known = {name for scores in columns.values() for name in scores}
    names = [name for name in SCORES if name in known] + sorted(known - set(SCORES))
    if not names:
        return Section("Scores", ())
    rows = tuple(_score_row(name, tuple(columns.values())) for name in names)
    table = Table(("score", *columns), rows, right=frozenset(range(1, len(columns) + 1)))
    if not run.baseline:
        return Section("Scores", (table,))
    return Section("Scores", (table, Text("The baseline is the best answer that looks at no column.", Tone.QUIET)))


def _score_row(name: str, columns: tuple[Mapping[str, float], ...]) -> tuple[Text, ...]:
    return texts(score_label(name), *(score(name, each.get(name)) for each in columns))


def score_label(name: str) -> str:
    """Return what a score is called."""
    return SCORES[name].label if name in SCORES else name.replace("_", " ")


def score(name: str, value: float | None) -> str:
    """Return a score as printed: a share as a percentage, else to four digits."""
    if value is None or math.isnan(value):
        return "–"
    return f"{100 * value:.1f} %" if name in SCORES and SCORES[name].share else figure(value, 4)


def coefficients_section(run: Run) -> Section:
    """Name the strongest coefficients, in original units."""
    strongest = sorted(run.coefficients, key=lambda each: -each.strength)[:STRONGEST]
    if not strongest:
        return Section("Strongest coefficients", ())
    of_class = any(each.output for each in strongest)
    heads = ("feature", *(("class",) if of_class else ()), "in original units", "strength", "")
    rows = tuple(_coefficient_row(each, strongest[0].strength, of_class=of_class) for each in strongest)
    numbers = {len(heads) - 3, len(heads) - 2}
    table = Table(heads, rows, right=frozenset(numbers), fold=frozenset({0}))
    return Section("Strongest coefficients", (table, Text(_unit(run), Tone.QUIET)))


def _coefficient_row(each: Coefficient, strongest: float, *, of_class: bool) -> tuple[Text, ...]:
    named = (each.feature, each.output) if of_class else (each.feature,)
    bar = "━" * max(1, round(BAR * each.strength / strongest)) if strongest > 0 else ""
    signed = ("+" if each.value > 0 else "") + figure(each.value)
    return (*texts(*named, signed, figure(each.strength)), Text(bar, Tone.ACCENT))


def _unit(run: Run) -> str:
    loss, classes = run.setting("loss"), run.data.classes
    if loss == "log" and len(classes) == 2:
        unit = f"log-odds that {run.spec.target} is {classes[1]}"
    elif loss == "poisson":
        unit = f"logarithm of the {run.spec.target} expected"
    elif classes:
        unit = "score of a class"
    else:
        unit = f"{run.spec.target} predicted"
    return f"Change of the {unit} per unit of the column, or for that level."


def findings_section(run: Run) -> Section:
    """List the findings: what is the matter, how we know, what to do."""
    parts: list[Part] = []
    for finding in run.findings:
        parts.append(Text(f"{finding.code}  {finding.title}", Tone.STRONG))
        parts.append(Facts((("because", Text(sentence(finding.evidence))), ("to do", Text(sentence(finding.remedy))))))
    return Section(
        "Findings", tuple(parts) or (Text("None: nothing in these numbers calls for a change.", Tone.QUIET),)
    )


def record_section(run: Run) -> Section:
    """Say where the run was saved, where the time went, and how to see the path of its weights."""
    saved = Text(run.path, Tone.STRONG) if run.path else Text("not saved")
    parts = ", ".join(f"{name} {duration(spent)}" for name, spent in run.seconds.items() if name != "total" and spent)
    total = f"{duration(run.seconds['total'])}: " if "total" in run.seconds else ""
    rows = [("saved", saved), ("time", Text(total + parts))]
    if run.path and run.trajectory is not None:
        kept = plural(len(run.trajectory.updates), "moment")
        rows.append(("path", Text(f"{kept} of the weights; downslope slice {run.run} draws the loss about them")))
    return Section("Record", (Facts(tuple(rows)),))


def sentence(words: str) -> str:
    """Return words as a sentence: with a capital, and a full stop."""
    return words if not words else words[0].upper() + words[1:] + ("" if words[-1] in ".!?…" else ".")
