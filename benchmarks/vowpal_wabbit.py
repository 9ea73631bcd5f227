"""Vowpal Wabbit on our problems: from its own binary cache, categories as the tokens it likes best.

It minimises over weights of unscaled one-hot columns; they are turned into weights of standardised columns
afterwards, which changes no score. Its penalty is left at zero: 1/n matters to no gap that it reaches.
Softmax and Huber it does not have.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Peer
from benchmarks.problems import Problem, Table
from benchmarks.reference import Weights

LOSSES = {"log": "logistic", "poisson": "poisson", "squared": "squared"}
CONSTANT = 11650396  # VW's own index of the intercept


def available() -> bool:
    """Return whether Vowpal Wabbit is installed."""
    try:
        import vowpalwabbit  # noqa: F401
    except ImportError:
        return False
    return True


def text_file(problem: Problem, folder: Path) -> Path:
    """Write the table in VW's format, once, and return where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{problem.name}-{problem.rows}.vw"
    if path.exists():
        return path
    table = problem.table
    assert table is not None
    p = table.numbers.shape[1]
    numbers = (table.numbers - table.center[:p]) / table.scale[:p]
    labels = _labels(problem)
    with path.open("w") as out:
        for label, row, codes in zip(labels, numbers, table.codes, strict=True):
            values = " ".join(f"{j}:{value:.7g}" for j, value in enumerate(row))
            out.write(f"{label:.9g} | {values} {' '.join(str(p + code) for code in codes)}\n")
    return path


def _unit(problem: Problem) -> tuple[float, float]:
    return (float(problem.y.mean()), float(problem.y.std())) if problem.loss == "squared" else (0.0, 1.0)


def _labels(problem: Problem) -> NDArray[Any]:
    if problem.loss == "log":
        return np.where(problem.y == 1, 1, -1)
    mean, unit = _unit(problem)
    return (problem.y - mean) / unit


def _weights(problem: Problem, workspace: Any) -> Weights:
    table = problem.table
    assert isinstance(table, Table)
    p, d = table.numbers.shape[1], problem.X.shape[1]
    raw = np.array([workspace.get_weight_from_name(str(j), " ") for j in range(d)])
    intercept = workspace.get_weight(CONSTANT)
    scale, center = table.scale.copy(), table.center.copy()
    scale[:p], center[:p] = 1, 0  # numbers were written standardised
    mean, unit = _unit(problem)
    return Weights.of(raw * scale * unit, (intercept + raw @ center) * unit + mean)


def _train(problem: Problem, budget: int, folder: Path, options: str) -> Weights:
    from vowpalwabbit import Workspace

    path = text_file(problem, folder)
    wide = "--min_prediction -50 --max_prediction 50" if problem.loss != "squared" else ""
    least = 2 if "--bfgs" in options else 1
    passes = f"--passes {max(budget, least)} --holdout_off" if budget else ""
    workspace = Workspace(
        f"--quiet -d {path} --cache_file {path}.cache {passes} --loss_function {LOSSES[problem.loss]} {wide} {options}"
    )
    weights = _weights(problem, workspace)
    workspace.finish()
    return weights


def peers(problem: Problem, folder: Path) -> list[Peer]:
    """Return Vowpal Wabbit's variants for this problem; the first call of each writes the cache."""
    if problem.loss not in LOSSES or problem.table is None or not available():
        return []
    variants = [
        ("rate 0.5", ""),
        ("rate 0.1", "-l 0.1"),
        ("rate 0.02", "-l 0.02"),
        ("rate 2", "-l 2"),
        ("L-BFGS", "--bfgs --mem 10 --termination 0"),
        ("SGD, rate 0.01", "--sgd -l 0.01"),
    ]
    return [
        Peer("Vowpal Wabbit", words, partial(_train, folder=folder, options=options), family="vw")
        for words, options in variants
    ]


def shipped(problem: Problem, folder: Path) -> list[Peer]:
    """Return Vowpal Wabbit with nothing set but the loss: one pass."""
    if not peers(problem, folder):
        return []

    def fit(problem: Problem, _budget: int) -> Weights:
        return _train(problem, 0, folder, "")

    return [Peer("Vowpal Wabbit", "as shipped, 1 pass", fit, direct=True)]
