"""Measurements behind every figure of the README: ratios in one run, on one machine, against named peers.

``python -m benchmarks`` runs them all; ``python -m benchmarks log-flights engine --quick`` runs two of them,
briefly. Read ``problems`` for what is solved, ``reference`` for the minimum that a gap is measured against,
``clock`` for how a time is taken, and ``race`` for how a peer is given its best setting.
"""
