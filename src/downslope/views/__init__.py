"""What runs look like, as data: sections of facts, tables and curves that any face can draw."""

from downslope.views.flat import flat
from downslope.views.listing import listing
from downslope.views.parts import Curve, Facts, Part, Section, Table, Text, Tone, Trace
from downslope.views.race import race_report
from downslope.views.report import report
from downslope.views.sweep import sweep_report

__all__ = [
    "Curve",
    "Facts",
    "Part",
    "Section",
    "Table",
    "Text",
    "Tone",
    "Trace",
    "flat",
    "listing",
    "race_report",
    "report",
    "sweep_report",
]
