"""What was measured of a network: the shape of its loss along the run, its layers, and the point where it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from downslope.records import Run
from downslope.records.figures import count, figure, plural, share
from downslope.records.networks import layer_label
from downslope.records.shape import LayerNoise, Look, Noise, Shape, StopKind
from downslope.views.parts import Part, Section, Table, Text, Tone, texts

T = TypeVar("T")

LOOKS = 12
"""Most looks listed: the first, the last, and as many between them at even distances."""

LAYERS = 24
"""Most layers listed."""

UNKNOWN = "–"

SIGMAS = 2.0
"""Standard errors to each side of a curvature that are told: about 95 % of a normal distribution."""

TONES = {StopKind.MINIMUM: Tone.GOOD, StopKind.SADDLE: Tone.WARN, StopKind.PLATEAU: Tone.WARN}


def along_section(run: Run) -> Section:
    """Put the stability limit beside the rate in use at each look, with curvature and noise scale."""
    title = "Shape of the loss, along the run"
    if not run.looks:
        return Section(title, ())
    heads = ("update", "passes", "rate", "limit", "curvature", "condition", "noise scale")
    rows = tuple(_look_row(look) for look in _some(run.looks, LOOKS))
    table = Table(heads, rows, right=frozenset(range(6)), spare=(1, 5))
    return Section(title, (table, Text(_meaning(run)), Text(_measured(run.looks[-1]), Tone.QUIET)))


def _some(looks: Sequence[T], most: int) -> list[T]:
    """Return at most so many, the first and the last among them."""
    if len(looks) <= most:
        return list(looks)
    return [looks[round(place * (len(looks) - 1) / (most - 1))] for place in range(most)]


def _look_row(look: Look) -> tuple[Text, ...]:
    above = look.learning_rate > look.limit
    return (
        *texts(count(look.update), figure(look.passes, 2)),
        Text(figure(look.learning_rate, 2), Tone.WARN if above else Tone.PLAIN),
        *texts(
            _limit(look.limit),
            f"{figure(look.shape.smallest, 2)} to {figure(look.shape.largest, 2)}",
            _condition(look.shape),
            noise_scale(look.noise),
        ),
    )


def _limit(limit: float) -> str:
    """Return a limit as printed: nothing that curves upwards sets none."""
    if math.isnan(limit):
        return UNKNOWN
    return "none" if math.isinf(limit) else figure(limit, 2)


def _condition(shape: Shape) -> str:
    return UNKNOWN if math.isnan(shape.condition) else figure(shape.condition, 2)


def noise_scale(noise: Noise) -> str:
    """Return a noise scale with its interval, such as ``127 (95 to 180)``; where it has no upper end, ``above 95``."""
    if not math.isfinite(noise.high):
        return f"above {figure(noise.low, 2)}"
    return f"{figure(noise.scale, 2)} ({figure(noise.low, 2)} to {figure(noise.high, 2)})"


def _meaning(run: Run) -> str:
    """Say in one sentence how rate and batch stand to what was measured."""
    batch = run.setting("batch_size")
    noise = f"a batch above the noise scale repeats itself, and here it has {plural(float(str(batch)), 'example')}"
    known = [look for look in run.looks if math.isfinite(look.limit)]
    if not known:
        return f"No limit is known for {run.setting('rule')} steps here; {noise}."
    worst = max(known, key=lambda look: look.learning_rate / look.limit)
    times = worst.learning_rate / worst.limit
    stood = (
        f"the rate was {figure(times, 2)} times that at update {count(worst.update)}"
        if times > 1
        else f"the rate was at most {share(times)} of that"
    )
    return f"Steps above the limit grow along the steepest direction, and {stood}; {noise}."


def _measured(look: Look) -> str:
    """Say on how many examples the numbers rest and how well they are known."""
    shape, noise = look.shape, look.noise
    error = SIGMAS * math.hypot(shape.sampling_error, shape.largest_error) / max(abs(shape.largest), 1e-300)
    return (
        f"Curvature, smallest to largest, on {_of(shape.rows, shape.all_rows)}, the largest ± {share(error)}; "
        f"condition, their ratio, {UNKNOWN} where one is below zero; noise scale on "
        f"{_of(noise.rows, noise.all_rows)}, with its 95 % interval."
    )


def _of(rows: int, all_rows: int) -> str:
    return f"all {count(rows)} examples" if rows >= all_rows else f"{count(rows)} of {count(all_rows)} examples"


def layers_section(run: Run) -> Section:
    """Show the layers at the last look: lengths of weights and gradient, rank, dead units."""
    if not run.looks or not run.looks[-1].noise.layers:
        return Section("Layers", ())
    look = run.looks[-1]
    layers = look.noise.layers
    updates = any(math.isfinite(layer.update) for layer in layers)
    rows = [_layer_row(layer, updates=updates) for layer in layers[:LAYERS]]
    heads = ("layer", "weights", "gradient", *(("update / weights",) if updates else ()), "rank", "dead units")
    parts: list[Part] = [Table(heads, tuple(rows), right=frozenset(range(1, len(heads))), fold=frozenset({0}))]
    if len(layers) > LAYERS:
        parts.append(Text(f"and {len(layers) - LAYERS} more", Tone.QUIET))
    words = (
        f"Lengths of the weights and of the gradient at update {count(look.update)}; rank of the gradient, of so many "
        f"units; units are dead that were zero for all of {plural(look.noise.rows, 'example')}."
    )
    return Section("Layers", (*parts, Text(words, Tone.QUIET)))


def _layer_row(layer: LayerNoise, *, updates: bool) -> tuple[Text, ...]:
    rank = f"{layer.rank} of {layer.units}" if layer.units else UNKNOWN
    dead = share(layer.dead) if math.isfinite(layer.dead) else UNKNOWN
    moved = (figure(layer.update, 2) if math.isfinite(layer.update) else UNKNOWN,) if updates else ()
    return texts(layer_label(layer.name), figure(layer.weights), figure(layer.gradient, 2), *moved, rank, dead)


def end_point(run: Run) -> tuple[tuple[str, Text], ...]:
    """Return the row that names the point where a network ended, none where it was not measured."""
    stop = run.stop_point
    if stop is None:
        return ()
    sample = f"; measured on {_of(stop.rows, stop.all_rows)}" if stop.rows < stop.all_rows else ""
    return (("end point", Text(stop.message + sample, TONES.get(stop.kind, Tone.PLAIN))),)
