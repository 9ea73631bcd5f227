"""Simplified Chinese: every sentence of the engine by its English template, in the words of README.zh-CN.md."""

from __future__ import annotations

from collections.abc import Mapping

from downslope.words.zh.figures import FIGURES

SENTENCES: Mapping[str, str] = {**FIGURES}
