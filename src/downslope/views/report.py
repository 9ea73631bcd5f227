"""The report of one run, section by section, in the order in which a reader asks."""

from __future__ import annotations

from downslope.records import Run
from downslope.views import after, before, measured
from downslope.views.parts import Section


def report(run: Run, *, detail: bool = False) -> tuple[Section, ...]:
    """Return the sections of a run's report; with ``detail`` also what was measured for each choice."""
    sections = (
        before.data_section(run),
        before.shape_section(run),
        before.choices_section(run, detail=detail),
        measured.along_section(run),
        measured.layers_section(run),
        after.descent_section(run),
        after.distance_section(run),
        after.scores_section(run),
        after.coefficients_section(run),
        after.findings_section(run),
        after.record_section(run),
    )
    return tuple(section for section in sections if section.parts)
