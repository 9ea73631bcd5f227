"""A sweep over a network as maps: learning rates down, batch sizes across, one map for each start."""

from __future__ import annotations

import math

from downslope.records import NetworkCell, NetworkSweep, Spread, Zone
from downslope.records.figures import count, duration, figure, plural, share
from downslope.views.after import plural_passes
from downslope.views.marks import MARKS, TONES
from downslope.views.parts import Section, Table, Text, Tone, facts, texts
from downslope.views.several import data_fact, measured_fact

BEST = 5
"""Cells listed with all their numbers."""


def network_sweep_report(sweep: NetworkSweep) -> tuple[Section, ...]:
    """Return the sections of a sweep over a network: what ran, a map for each start, and the best cells."""
    steps = f"{sweep.rule} steps, {_schedule(sweep)}, up to {plural_passes(sweep.rounds[-1])}"
    head = facts(
        ("data", data_fact(sweep)),
        ("network", sweep.architecture),
        ("each cell", f"{sweep.loss_name} loss, {steps}"),
        ("seeds", _seeds(sweep)),
        ("judged by", f"{_judge(sweep)}{measured_fact(sweep)}"),
        ("trained", f"{plural(len(sweep.cells) * len(sweep.seeds), 'lane')} in {duration(sweep.seconds)}"),
        *((("dropped", _dropped(sweep)),) if len(sweep.rounds) > 1 else ()),
    )
    maps = [Section(_title(sweep, start), (_map(sweep, start),)) for start in sweep.starts]
    maps[-1] = Section(maps[-1].title, (*maps[-1].parts, _legend(sweep)))
    return Section("The sweep", (head,)), *maps, Section("Lowest", (*_lowest(sweep), *_conclusions(sweep)))


def _schedule(sweep: NetworkSweep) -> str:
    return "constant rate" if sweep.schedule == "constant" else f"{sweep.schedule} schedule"


def _seeds(sweep: NetworkSweep) -> str:
    """Say what a seed changes."""
    if len(sweep.seeds) == 1:
        return "1: small differences may be luck, for starting weights and order are drawn once"
    return f"{len(sweep.seeds)} a cell, each with starting weights, an order of examples and dropout of its own"


def _judge(sweep: NetworkSweep) -> str:
    return "held-out loss" if sweep.by_held else "training loss, as nothing is held out"


def _dropped(sweep: NetworkSweep) -> str:
    after = " and ".join(figure(each, 2) for each in sweep.rounds[:-1])
    return f"after {after} passes, the worse half of each batch size's cells, all seeds of a cell together"


def _title(sweep: NetworkSweep, start: str) -> str:
    of = f", start {start}" if len(sweep.starts) > 1 or start != "he" else ""
    return f"Learning rate by batch size{of}"


def _map(sweep: NetworkSweep, start: str) -> Table:
    cells = {(cell.learning_rate, cell.batch_size): cell for cell in sweep.cells if cell.start == start}
    heads = ("rate", *(count(size) for size in sweep.batch_sizes))
    rows = tuple(
        (Text(figure(rate)), *(_cell(sweep, cells.get((rate, size))) for size in sweep.batch_sizes))
        for rate in reversed(sweep.learning_rates)
    )
    return Table(heads, rows, right=frozenset(range(len(heads))))


def _cell(sweep: NetworkSweep, cell: NetworkCell | None) -> Text:
    if cell is None:
        return Text("–", Tone.QUIET)
    mark = "★" if cell == sweep.best else MARKS[cell.zone]
    reached = "" if cell.diverged else written(sweep.judged(cell))
    told = f"({reached})" if cell.dropped else reached
    return Text(f"{told} {mark}".strip(), TONES[cell.zone])


def written(loss: Spread) -> str:
    """Return a loss with its deviation over seeds, such as ``0.312 ± 0.004``."""
    if not math.isfinite(loss.mean):
        return "–"
    return figure(loss.mean) + (f" ± {figure(loss.deviation, 2)}" if loss.deviation > 0 else "")


def _legend(sweep: NetworkSweep) -> Text:
    zones = "  ".join(f"{MARKS[zone]} {zone.value}" for zone in Zone)
    deviation = "±: deviation over seeds. " if len(sweep.seeds) > 1 else ""
    dropped = "(…) dropped, with the loss it had then. " if len(sweep.rounds) > 1 else ""
    return Text(
        f"{zones}  ★ best. {dropped}{deviation}A network's minimum is not known: in the sweet spot the loss fell at "
        f"least {share(sweep.sweet)} as far as the lowest of the map at the same passes.",
        Tone.QUIET,
    )


def _lowest(sweep: NetworkSweep) -> tuple[Table, ...]:
    """Return the cells that ran to the end, lowest first, with all their numbers."""
    ranked = _ranked(sweep)[:BEST]
    if not ranked:
        return ()
    heads = ("rate", "batch", "start", "held out", "training", "updates", "passes")
    rows = tuple(
        texts(
            figure(each.learning_rate), count(each.batch_size), each.start, written(each.held), written(each.train),
            count(each.updates), figure(each.passes, 2),
        )
        for each in ranked
    )  # fmt: skip
    return (Table(heads, rows, right=frozenset({0, 1, 3, 4, 5, 6}), spare=(5, 6)),)


def _ranked(sweep: NetworkSweep) -> list[NetworkCell]:
    ended = [each for each in sweep.cells if not each.dropped and not each.diverged]
    return sorted(ended, key=lambda each: sweep.judged(each).mean)


def _conclusions(sweep: NetworkSweep) -> list[Text]:
    if sweep.best is None:
        return [Text(f"Every cell diverged; try learning rates below {figure(min(sweep.learning_rates))}.", Tone.BAD)]
    best, ranked = sweep.best, _ranked(sweep)
    start = f", start {best.start}" if len(sweep.starts) > 1 else ""
    loss = f"{'held-out' if sweep.by_held else 'training'} loss {written(sweep.judged(best))}"
    batches = f"batches of {plural(best.batch_size, 'example')}"
    first = f"Best: learning rate {figure(best.learning_rate)} with {batches}{start}, {loss}."
    return [Text(line) for line in (first, *_not_apart(sweep, ranked), *_at_an_end(sweep), *_stuck(sweep))]


def _not_apart(sweep: NetworkSweep, ranked: list[NetworkCell]) -> list[str]:
    """Say which of the next cells the seeds do not tell from the best."""
    best = sweep.judged(ranked[0])
    near = [
        each for each in ranked[1:]
        if sweep.judged(each).mean - best.mean <= math.hypot(best.deviation, sweep.judged(each).deviation)
    ]  # fmt: skip
    if not near:
        return []
    lie = "lies" if len(near) == 1 else "lie"
    return [f"{plural(len(near), 'other cell')} that ran to the end {lie} within the spread of the seeds."]


def _at_an_end(sweep: NetworkSweep) -> list[str]:
    """Say it where the best rate is the last of its axis, beyond which none was tried."""
    if sweep.best is None or len(sweep.learning_rates) < 2:
        return []
    for end, way, other in ((0, "lowest", "lower"), (-1, "highest", "higher")):
        if sweep.best.learning_rate == sweep.learning_rates[end]:
            return [f"It is the {way} rate that was tried; a {other} one may do better."]
    return []


def _stuck(sweep: NetworkSweep) -> list[str]:
    """Name the starts from which no cell came away."""
    lines: list[str] = []
    for start in sweep.starts:
        fallen = [each.fallen for each in sweep.cells if each.start == start and math.isfinite(each.fallen)]
        if fallen and max(fallen) <= 1.0 - sweep.sweet:
            most = share(max(max(fallen), 0.0))
            lines.append(f"From the start {start} no rate got away: the loss fell {most} as far as the lowest at most.")
    return lines
