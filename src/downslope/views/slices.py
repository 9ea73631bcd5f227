"""A slice of a loss as a page: what it is, the loss on it as a curve or a map, and the run's path at its true loss."""

from __future__ import annotations

import math
from collections.abc import Mapping

from downslope.records.figures import count, figure, plural, share
from downslope.records.files import record_to_json
from downslope.records.loss_shape import LossShape
from downslope.records.slices import LineSlice, PathPoint, PlaneSlice
from downslope.types import JsonValue
from downslope.views.measured import noise_scale
from downslope.views.parts import Curve, Facts, Part, Section, Table, Text, Tone, facts, texts

RAMP = " .:-=+*#%@"
"""How heights are written on a map, lowest first."""
WEIGHTS, START, STEP, NONE = "X", "S", "o", "?"
"""Marks on a map: where the run's weights are, where its path began and went, and where the loss is no number."""
ACROSS, DOWN = 60, 20
"""Characters of a map in a row, and rows."""
SPREAD = 10.0
"""Ratio of the largest to the smallest loss from which heights are told apart by their logarithm."""
ROWS = 10
"""Points of the path in the table, spread evenly over it."""
NAMES = {
    "random": "random, each filter as long as the weights' own",
    "hessian": "of the largest curvature",
    "path": "in which the run went furthest",
}


def slice_report(found: LineSlice | PlaneSlice) -> tuple[Section, ...]:
    """Return the sections of a slice."""
    head = Section("The slice", (_head(found),))
    drawn = (
        Section("Loss over the plane", _map(found))
        if isinstance(found, PlaneSlice)
        else Section("Loss along the line", _curve(found))
    )
    if not found.path:
        return head, drawn
    return head, drawn, Section("The run's path", _path(found))


def slice_json(found: LineSlice | PlaneSlice) -> dict[str, JsonValue]:
    """Return a slice as one object of strict JSON values."""
    told = record_to_json(found)
    most = found.farthest
    return told | {"largest_difference": None if most is None or not math.isfinite(most.apart) else most.apart}


def shape_report(found: LossShape) -> tuple[Section, ...]:
    """Return the sections of a loss about some weights."""
    shape, noise = found.shape, found.noise
    sampled = f"{count(shape.rows)} of {plural(shape.all_rows, 'training row')}"
    curved = facts(
        ("largest", f"{figure(shape.largest)} ± {figure(shape.largest_error + shape.sampling_error, 2)}"),
        ("smallest", f"{figure(shape.smallest)} ± {figure(shape.smallest_error, 2)}"),
        ("trace", f"{figure(shape.trace)} ± {figure(shape.trace_error, 2)}"),
        ("condition", "no number: a direction curves down" if math.isnan(shape.condition) else figure(shape.condition)),
        ("stability limit", f"{figure(shape.stability_limit)}, the highest rate of plain full-batch steps"),
        ("measured on", f"{sampled}, {plural(shape.weights, 'weight')}"),
    )
    heads = ("layer", "weights", "gradient", "units", "rank of gradient", "dead units")
    rows = tuple(
        texts(
            each.name, figure(each.weights), figure(each.gradient), count(each.units) if each.units else "",
            count(each.rank) if each.units else "", "" if math.isnan(each.dead) else share(each.dead),
        )
        for each in noise.layers
    )  # fmt: skip
    told = facts(("noise scale", f"{noise_scale(noise)} examples, with its 95 % interval"))
    return (
        Section("The point", (Text(found.stop_point.message),)),
        Section("Curvature", (curved,)),
        Section("Noise of the gradient", (told, Table(heads, rows, right=frozenset(range(1, 6))))),
    )


def _head(found: LineSlice | PlaneSlice) -> Facts:
    kind = "plane" if isinstance(found, PlaneSlice) else "line"
    bends = found.curvatures if isinstance(found, PlaneSlice) else (found.curvature,)
    known = [figure(each) for each in bends if math.isfinite(each)]
    ways = NAMES[found.directions] + (f", {' and '.join(known)}" if known else "")
    penalty = f", its penalty of l2 {figure(found.l2)} included" if found.l2 else ""
    unit = f" in {found.unit}" if found.unit else ""
    rows = [
        ("directions", f"{ways}: a {kind} through the weights"),
        ("loss", f"mean {found.loss_name} loss{unit}{penalty}"),
        ("over", f"{count(found.rows)} of {plural(found.all_rows, 'training row')}"),
        ("at the weights", figure(found.loss, 4)),
        ("lowest on it", _lowest(found)),
    ]
    return facts(*rows, *_truth(found))


def _lowest(found: LineSlice | PlaneSlice) -> str:
    if isinstance(found, LineSlice):
        low, x = min(zip(found.losses, found.xs, strict=True), key=lambda each: _or_inf(each[0]))
        edge = ", its edge" if x in (found.xs[0], found.xs[-1]) else ""
        return f"{figure(low, 4)} at x = {figure(_near_zero(x))}{edge}"
    flat = [
        (loss, x, y)
        for y, row in zip(found.ys, found.losses, strict=True)
        for x, loss in zip(found.xs, row, strict=True)
    ]
    low, x, y = min(flat, key=lambda each: _or_inf(each[0]))
    edge = ", its edge" if x in (found.xs[0], found.xs[-1]) or y in (found.ys[0], found.ys[-1]) else ""
    return f"{figure(low, 4)} at x = {figure(_near_zero(x))}, y = {figure(_near_zero(y))}{edge}"


def _or_inf(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _truth(found: LineSlice | PlaneSlice) -> list[tuple[str, str]]:
    """Return how much of the path the slice holds, and how far it is from the truth along it."""
    most = found.farthest
    if most is None:
        return [("path", "none was kept; fit with --keep-path 40 to see where the run went")]
    went = not math.isnan(found.explained)
    held = f"{share(found.explained)} of its squared distances from the weights" if went else "it went nowhere"
    off = f"{figure(most.apart)} at update {count(most.update)}: {figure(most.loss, 4)} in truth"
    told = [("path explained", held), ("off the truth by up to", f"{off}, {figure(most.slice_loss, 4)} on the slice")]
    if found.own_statistics:
        told.append((
            "batch statistics", "those of the weights on the slice; true losses are by those of their own moment",
        ))  # fmt: skip
    return told


def _curve(found: LineSlice) -> tuple[Part, ...]:
    known = [(x, loss) for x, loss in zip(found.xs, found.losses, strict=True) if math.isfinite(loss)]
    if len({loss for _, loss in known}) < 2:
        return (Text(_level(len(known))),)
    lowest, highest = min(loss for _, loss in known), max(loss for _, loss in known)
    curve = Curve(
        tuple(x for x, _ in known), tuple(loss for _, loss in known), "x", "loss", _logarithmic(lowest, highest)
    )
    return curve, Text(f"The weights are at x = 0; one unit of x is {figure(found.length)} in weights.", Tone.QUIET)


def _level(known: int) -> str:
    """Return what to say where there is nothing to draw."""
    return "The loss is the same wherever it is a number." if known else "The loss is nowhere a number."


def _logarithmic(lowest: float, highest: float) -> bool:
    return lowest > 0 and highest / lowest >= SPREAD


def _map(found: PlaneSlice) -> tuple[Part, ...]:
    """Return the plane as characters, its heights as a ramp and the path on it, with what they mean."""
    known = [loss for row in found.losses for loss in row if math.isfinite(loss)]
    if len(set(known)) < 2:
        return (Text(_level(len(known))),)
    lowest, highest = min(known), max(known)
    log = _logarithmic(lowest, highest)
    marks = _marks(found)
    lines = [
        "".join(marks.get((column, row)) or _shade(_at(found, column, row), lowest, highest, log)
                for column in range(ACROSS))
        for row in range(DOWN)
    ]  # fmt: skip
    ends = [
        f"{name} from {figure(axis[0])} to {figure(axis[-1])} {way}, one unit is {figure(length)} in weights"
        for name, axis, way, length in zip(
            "xy", (found.xs, found.ys), ("across", "upwards"), found.lengths, strict=True
        )
    ]
    bands = [f'"{mark}" {figure(_edge(index + 1, lowest, highest, log), 2)}' for index, mark in enumerate(RAMP)]
    half = len(bands) // 2
    odd = f", {NONE} no number" if len(known) < len(found.xs) * len(found.ys) else ""
    legend = (
        f"loss up to  {'   '.join(bands[:half])}", f"            {'   '.join(bands[half:])}",
        _drawn(found, marks) + odd, *ends,
    )  # fmt: skip
    return (*(Text(line.rstrip()) for line in lines), *(Text(line, Tone.QUIET) for line in legend))


def _drawn(found: PlaneSlice, marks: Mapping[tuple[int, int], str]) -> str:
    """Return what the marks on a map mean, and how many moments lie outside of it."""
    means = {WEIGHTS: "the weights", START: "the start", STEP: "the path"}
    seen = {mark for (column, row), mark in marks.items() if 0 <= column < ACROSS and 0 <= row < DOWN}
    told = [f"{mark} {meaning}" for mark, meaning in means.items() if mark in seen]
    outside = sum(
        not (found.xs[0] <= point.x <= found.xs[-1] and found.ys[0] <= point.y <= found.ys[-1]) for point in found.path
    )
    return ", ".join([*told, *([f"{plural(outside, 'moment')} of the path outside"] if outside else [])])


def _marks(found: PlaneSlice) -> Mapping[tuple[int, int], str]:
    """Return (column, row from the top) -> mark; the start covers the path, and the weights cover both."""
    marks = {_cell(found, point.x, point.y): STEP for point in found.path}
    marks |= {_cell(found, point.x, point.y): START for point in found.path if point.update == 0}
    return marks | {_cell(found, 0.0, 0.0): WEIGHTS}


def _cell(found: PlaneSlice, x: float, y: float) -> tuple[int, int]:
    """Return the cell of a place; one outside the plane is in none that is drawn."""
    across = (x - found.xs[0]) / (found.xs[-1] - found.xs[0])
    up = (y - found.ys[0]) / (found.ys[-1] - found.ys[0])
    return round(across * (ACROSS - 1)), round((1 - up) * (DOWN - 1))


def _at(found: PlaneSlice, column: int, row: int) -> float:
    """Return the loss of the point of the slice nearest to a cell."""
    across = round(column / (ACROSS - 1) * (len(found.xs) - 1))
    return found.losses[round((1 - row / (DOWN - 1)) * (len(found.ys) - 1))][across]


def _shade(loss: float, lowest: float, highest: float, log: bool) -> str:
    if not math.isfinite(loss):
        return NONE
    edges = (_edge(index, lowest, highest, log) for index in range(1, len(RAMP)))
    return RAMP[sum(loss > edge for edge in edges)]


def _edge(index: int, lowest: float, highest: float, log: bool) -> float:
    """Return the loss at which a band of heights begins."""
    along = index / len(RAMP)
    return lowest * (highest / lowest) ** along if log else lowest + (highest - lowest) * along


def _path(found: LineSlice | PlaneSlice) -> tuple[Part, ...]:
    """Return some points of the path, spread evenly, and the one where the slice is furthest from the truth."""
    plane, most = isinstance(found, PlaneSlice), found.farthest
    last = len(found.path) - 1
    shown = {round(last * index / max(min(ROWS, len(found.path)) - 1, 1)) for index in range(ROWS)} & {*range(last + 1)}
    rows = [point for index, point in enumerate(found.path) if index in shown or point is most]
    heads = ("update", "x", *(["y"] if plane else []), "true loss", "on the slice", "off the slice by")
    cells = tuple(_row(point, plane, point is most) for point in rows)
    whole = plural(len(found.path), "moment")
    note = f"{len(rows)} of {whole} kept" if len(rows) < len(found.path) else f"{whole} kept"
    lies = "distances are lengths in weights"
    return Table(heads, cells, right=frozenset(range(len(heads)))), Text(f"{note}; {lies}", Tone.QUIET)


def _row(point: PathPoint, plane: bool, most: bool) -> tuple[Text, ...]:
    places = [point.x, point.y] if plane else [point.x]
    tone = Tone.WARN if most else Tone.PLAIN
    return (
        Text(count(point.update)), *texts(*(figure(_near_zero(each)) for each in places)),
        Text(figure(point.loss, 4), Tone.STRONG), Text(figure(point.slice_loss, 4), tone),
        Text(figure(point.off), tone),
    )  # fmt: skip


def _near_zero(value: float) -> float:
    return 0.0 if abs(value) < 1e-9 else value
