"""scikit-learn and LIBLINEAR on our problems: every solver that accepts one, at its best and as shipped.

``budget`` is the solver's own count of iterations or epochs; tolerances are set so low that the budget
alone ends a run. All minimise the objective of ``reference``: the constants below translate the penalty.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.problems import Problem
from benchmarks.reference import Weights

TINY = 1e-14


@dataclass(frozen=True)
class Peer:
    """A trainer with one setting.

    name: of the library and solver. setting: what was set, in words. fit: problem, budget -> weights.
    walk: for a trainer that hands out weights as it goes. direct: it solves at once and takes no budget.
    family: peers of one family are variants of each other; the best of them is reported.
    """

    name: str
    setting: str
    fit: Callable[[Problem, int], Weights] | None = None
    walk: Callable[[Problem], Iterator[Weights]] | None = None
    direct: bool = False
    family: str = field(default="")


def _fitted(model: Any, problem: Problem) -> Weights:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(problem.X, problem.y)
    return Weights.of(model.coef_, model.intercept_)


def _logistic(problem: Problem, budget: int, solver: str, **more: Any) -> Weights:
    from sklearn.linear_model import LogisticRegression

    # C sum(loss) + |w|^2 / 2 is C n times our objective with l2 = 1 / (C n).
    strength = 1.0 / (problem.rows * problem.l2)
    return _fitted(LogisticRegression(C=strength, solver=solver, max_iter=budget, tol=TINY, **more), problem)


_liblinear_tables: dict[str, Any] = {}


def _liblinear_official(problem: Problem, budget: int) -> Weights:
    """LIBLINEAR 2.50 through its own binding: -s 0 to a stopping tolerance of 2^-budget.

    Its own copy of the table is made outside the clock and kept, as a user of its command line would.
    """
    from liblinear.liblinearutil import problem as liblinear_problem
    from liblinear.liblinearutil import train

    if problem.name not in _liblinear_tables:
        _liblinear_tables.clear()
        table = sparse.csr_matrix(problem.X.astype(np.float64))
        _liblinear_tables[problem.name] = liblinear_problem(np.where(problem.y == 1, 1.0, -1.0), table, bias=1)
    model = train(_liblinear_tables[problem.name], f"-s 0 -c 1 -B 1 -R -e {2.0**-budget} -q")
    values = np.array([model.get_decfun_coef(j + 1) for j in range(problem.X.shape[1])])
    # get_decfun_coef already speaks of the first label seen.
    sign = 1.0 if model.get_labels()[0] == 1 else -1.0
    return Weights.of(values * sign, model.get_decfun_bias() * sign)


def _ridge(problem: Problem, budget: int, solver: str) -> Weights:
    from sklearn.linear_model import Ridge

    # sum (y - s)^2 + alpha |w|^2 is n times ours with alpha = n l2 / 2.
    iterative = {"max_iter": budget, "tol": TINY} if solver in ITERATIVE_RIDGE else {}
    return _fitted(Ridge(alpha=problem.rows * problem.l2 / 2, solver=solver, **iterative), problem)


ITERATIVE_RIDGE = ("lsqr", "sparse_cg", "sag", "saga", "lbfgs")


def _poisson(problem: Problem, budget: int, solver: str) -> Weights:
    from sklearn.linear_model import PoissonRegressor

    return _fitted(PoissonRegressor(alpha=problem.l2, solver=solver, max_iter=budget, tol=TINY), problem)


def _huber(problem: Problem, budget: int, unit: float) -> Weights:
    """HuberRegressor on y / unit; its scale at the optimum, delta / epsilon, turns alpha into our l2."""
    from sklearn.linear_model import HuberRegressor

    scale = problem.delta / 1.35 / unit
    model = HuberRegressor(epsilon=1.35, alpha=problem.rows * problem.l2 / scale, max_iter=budget, tol=TINY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(problem.X, problem.y / unit)
        except ValueError:  # it raises where its L-BFGS gives up
            return Weights.of(np.zeros(problem.X.shape[1]), 0.0)
    return Weights.of(model.coef_ * unit, model.intercept_ * unit)


SGD_LOSSES = {"log": "log_loss", "squared": "squared_error", "huber": "huber"}


def stochastic_model(problem: Problem, unit: float = 1.0, **settings: Any) -> Any:
    """Return scikit-learn's SGD estimator for this objective; squared loss there has a half, so has its penalty."""
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    alpha = problem.l2 / 2 if problem.loss == "squared" else problem.l2
    settings = {"alpha": alpha, "random_state": 0, **settings}
    if problem.classifies:
        return SGDClassifier(loss=SGD_LOSSES[problem.loss], **settings)
    return SGDRegressor(loss=SGD_LOSSES[problem.loss], epsilon=problem.delta / unit, **settings)


def _stochastic(problem: Problem, budget: int, **settings: Any) -> Weights:
    unit = 1.0 if problem.classifies else float(problem.y.std())
    model = stochastic_model(problem, unit, max_iter=budget, **{"tol": None, **settings})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(problem.X, problem.y if problem.classifies else problem.y / unit)
        except ValueError:  # weights overflowed
            return Weights.of(np.full(problem.X.shape[1], np.inf), np.inf)
    return Weights.of(model.coef_ * unit, model.intercept_ * unit)


def stochastic_grid() -> list[Peer]:
    """Return SGD under every schedule and a grid of first rates."""
    peers = [Peer("sklearn SGD", "optimal", partial(_stochastic, learning_rate="optimal"), family="sgd")]
    for rate in (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2):
        for schedule, more in (
            ("constant", {}),
            ("constant", {"average": True}),
            ("invscaling", {"power_t": 0.25}),
            ("adaptive", {"tol": 1e-4, "n_iter_no_change": 1}),
        ):
            words = f"{schedule} {rate:g}" + (", averaged" if "average" in more else "")
            fit = partial(_stochastic, learning_rate=schedule, eta0=rate, **more)
            peers.append(Peer("sklearn SGD", words, fit, family="sgd"))
    return peers


def best_peers(problem: Problem) -> list[Peer]:
    """Return every solver of scikit-learn and LIBLINEAR that accepts this objective."""
    return {
        "log": lambda: [*_logistic_peers(), *_liblinear_peers()],
        "softmax": _logistic_peers,
        "squared": _ridge_peers,
        "poisson": _poisson_peers,
        "huber": lambda: _huber_peers(float(problem.y.std())),
    }[problem.loss]()


def _logistic_peers() -> list[Peer]:
    return [
        Peer(f"sklearn LogisticRegression {solver}", "", partial(_logistic, solver=solver))
        for solver in ("lbfgs", "newton-cholesky", "newton-cg", "sag", "saga")
    ]


def _liblinear_peers() -> list[Peer]:
    peers = [
        Peer("LIBLINEAR in sklearn", words, partial(_logistic, solver="liblinear", dual=words == "dual"))
        for words in ("primal", "dual")
    ]
    if find_spec("liblinear") is not None:
        peers.append(Peer("LIBLINEAR 2.50", "primal", _liblinear_official))
    return peers


def _ridge_peers() -> list[Peer]:
    solvers = ("auto", "cholesky", "svd", *ITERATIVE_RIDGE[:4])
    return [
        Peer(f"sklearn Ridge {solver}", "", partial(_ridge, solver=solver), direct=solver not in ITERATIVE_RIDGE)
        for solver in solvers
    ]


def _poisson_peers() -> list[Peer]:
    return [
        Peer(f"sklearn PoissonRegressor {solver}", "", partial(_poisson, solver=solver))
        for solver in ("lbfgs", "newton-cholesky")
    ]


def _huber_peers(deviation: float) -> list[Peer]:
    return [
        Peer("sklearn HuberRegressor", words, partial(_huber, unit=unit))
        for words, unit in (("target as it is", 1.0), ("target scaled", deviation))
    ]


def _shipped(problem: Problem, _budget: int, make: Callable[[], Any]) -> Weights:
    return _fitted(make(), problem)


def shipped_peers(problem: Problem) -> list[Peer]:
    """Return what a user gets who sets nothing but the loss."""
    from sklearn.linear_model import (
        HuberRegressor,
        LogisticRegression,
        PoissonRegressor,
        Ridge,
        SGDClassifier,
        SGDRegressor,
    )

    makers: dict[str, dict[str, Callable[[], Any]]] = {
        "log": {
            "sklearn SGDClassifier": lambda: SGDClassifier(loss="log_loss", random_state=0),
            "sklearn LogisticRegression": LogisticRegression,
            "LIBLINEAR in sklearn": lambda: LogisticRegression(solver="liblinear"),
        },
        "softmax": {"sklearn LogisticRegression": LogisticRegression},
        "poisson": {"sklearn PoissonRegressor": PoissonRegressor},
        "huber": {
            "sklearn HuberRegressor": HuberRegressor,
            "sklearn SGDRegressor": lambda: SGDRegressor(loss="huber", random_state=0),
        },
        "squared": {"sklearn Ridge": Ridge, "sklearn SGDRegressor": lambda: SGDRegressor(random_state=0)},
    }
    return [
        Peer(name, "as shipped", partial(_shipped, make=make), direct=True)
        for name, make in makers[problem.loss].items()
    ]
