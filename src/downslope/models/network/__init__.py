"""Networks: layers of weights with a bend between them, written as ``mlp:64,32`` or ``cnn:16,32/64``."""

from __future__ import annotations

from downslope.models.network.grammar import Architecture, parse_model

__all__ = ["Architecture", "parse_model"]
