"""简体中文：引擎说的每一句话，以英文模板为键。"""

from __future__ import annotations

from collections.abc import Mapping

from downslope.words.zh.figures import FIGURES

SENTENCES: Mapping[str, str] = {**FIGURES}
