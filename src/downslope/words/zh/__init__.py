"""Simplified Chinese: every sentence of the engine by its English template, in the words of README.zh-CN.md.

Figures and Latin letters stand apart from Chinese by a space; where a value may be of either kind, it is put there as
the value is filled in. A sentence ends as its English does, so that the places where sentences are put together need to
know one language only.
"""

from __future__ import annotations

from collections.abc import Mapping

from downslope.words.zh.asking import EXPRESSIONS, MODELS, RESUMED, SETTINGS
from downslope.words.zh.choices import CHOICES
from downslope.words.zh.cluster import CLUSTER
from downslope.words.zh.data import COLUMNS, HOLDOUT, SOURCES, TARGETS
from downslope.words.zh.diagnosis import DATA, DESCENT, SCORES, SLOPE
from downslope.words.zh.endings import DIVERGENCE, STOP_POINTS, SURFACES, VERDICTS
from downslope.words.zh.figures import FIGURES, NAMES
from downslope.words.zh.large import LARGE
from downslope.words.zh.networks import NETWORKS
from downslope.words.zh.playground import PLAYGROUND, REPORTS
from downslope.words.zh.text import TEXT

PARTS: tuple[Mapping[str, str], ...] = (
    FIGURES, NAMES, DESCENT, SLOPE, DATA, SCORES, NETWORKS, CHOICES, VERDICTS, DIVERGENCE, STOP_POINTS, SURFACES,
    COLUMNS, TARGETS, HOLDOUT, SOURCES, TEXT, LARGE, CLUSTER, SETTINGS, RESUMED, MODELS, EXPRESSIONS, PLAYGROUND,
    REPORTS,
)  # fmt: skip
SENTENCES: Mapping[str, str] = {template: words for part in PARTS for template, words in part.items()}
