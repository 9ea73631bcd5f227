"""The loops that a PyTorch user writes: full-batch L-BFGS, and mini-batches with SGD, momentum or Adam.

Two threads, float32, the array shared without a copy, the objective of ``reference``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.peers import Peer
from benchmarks.problems import Problem
from benchmarks.reference import Weights


def available() -> bool:
    """Return whether PyTorch is installed."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


def loss_of(problem: Problem, unit: float) -> Any:
    """Return the mean loss as a function of scores (n, k) and target, in PyTorch's own fused form."""
    from torch.nn import functional

    def column(name: str, **more: Any) -> Any:
        return lambda scores, y: getattr(functional, name)(scores[:, 0], y, **more)

    return {
        "log": column("binary_cross_entropy_with_logits"),
        "softmax": functional.cross_entropy,
        "poisson": column("poisson_nll_loss", log_input=True),
        "huber": column("huber_loss", delta=problem.delta / unit),
        "squared": column("mse_loss"),
    }[problem.loss]


def _tensors(problem: Problem) -> tuple[Any, Any, Any, float]:
    import torch

    torch.set_num_threads(2)
    unit = float(problem.y.std()) if problem.loss in ("huber", "squared") else 1.0
    y = torch.from_numpy(problem.y) if problem.loss == "softmax" else torch.from_numpy(problem.y / unit).float()
    linear = torch.nn.Linear(problem.X.shape[1], problem.outputs)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.zero_()
    return torch.from_numpy(problem.X), y, linear, unit


def _weights(linear: Any, unit: float) -> Weights:
    return Weights.of(linear.weight.detach().numpy() * unit, linear.bias.detach().numpy() * unit)


def walk_lbfgs(problem: Problem) -> Iterator[Weights]:
    """Yield the weights after each iteration of torch.optim.LBFGS with its strong-Wolfe line search."""
    import torch

    X, y, linear, unit = _tensors(problem)
    loss = loss_of(problem, unit)
    optimizer = torch.optim.LBFGS(
        linear.parameters(),
        lr=1,
        max_iter=1,
        history_size=10,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss(linear(X), y) + problem.l2 / 2 * linear.weight.square().sum()
        value.backward()
        return value

    while True:
        optimizer.step(closure)
        yield _weights(linear, unit)


def walk_batches(problem: Problem, rule: str, rate: float, batch: int, looks: int = 4) -> Iterator[Weights]:
    """Yield the weights ``looks`` times an epoch; batches are drawn from a fresh shuffle each epoch."""
    import torch

    X, y, linear, unit = _tensors(problem)
    loss = loss_of(problem, unit)
    generator = torch.Generator().manual_seed(0)
    if rule == "adam":
        optimizer: Any = torch.optim.Adam(linear.parameters(), lr=rate)
    else:
        optimizer = torch.optim.SGD(linear.parameters(), lr=rate, momentum=0.9)
    every = max(1, -(-problem.rows // batch) // looks)
    while True:
        for step, rows in enumerate(torch.randperm(problem.rows, generator=generator).split(batch), start=1):
            optimizer.zero_grad()
            value = loss(linear(X[rows]), y[rows]) + problem.l2 / 2 * linear.weight.square().sum()
            value.backward()
            optimizer.step()
            if step % every == 0:
                yield _weights(linear, unit)


def peers(problem: Problem) -> list[Peer]:
    """Return the loops: L-BFGS, and a grid of batch sizes and rates for SGD with momentum and Adam."""
    if not available():
        return []
    found = [Peer("PyTorch L-BFGS", "full batch", walk=walk_lbfgs)]
    for batch in (256, 4096):
        for rule, rates in (("sgd", (1e-4, 1e-3, 1e-2, 1e-1)), ("adam", (3e-4, 1e-3, 1e-2, 1e-1))):
            for rate in rates:
                words = f"{'Adam' if rule == 'adam' else 'SGD, momentum'} {rate:g}, batch {batch}"
                walk = partial(walk_batches, rule=rule, rate=rate, batch=batch)
                found.append(Peer("PyTorch mini-batch", words, walk=walk, family="torch"))
    return found


class BatchEpochs:
    """Ways to write one shuffled epoch of plain log-loss steps; each takes the share of an epoch to run.

    By hand (the gradient of a linear model needs no tape), by autograd with a hand-made step, and with
    torch.optim.SGD; rows are drawn by ``index_select`` or from a table shuffled at once.
    """

    def __init__(self, problem: Problem, batch: int, rate: float) -> None:
        """Share the arrays with PyTorch; batch: rows a step; rate: the learning rate."""
        import torch

        torch.set_num_threads(2)
        self.X, self.y = torch.from_numpy(problem.X), torch.from_numpy(problem.y).float()
        self.batch, self.rate, self.l2 = batch, rate, problem.l2

    def ways(self) -> dict[str, Callable[[float], None]]:
        """Return the loops by name."""
        return {
            "by hand": self.by_hand,
            "by hand, shuffled at once": partial(self.by_hand, whole=True),
            "autograd": self.by_autograd,
            "torch.optim.SGD": self.by_optimizer,
        }

    def _batches(self, share: float, whole: bool = False) -> Iterator[tuple[Any, Any]]:
        import torch

        order = torch.randperm(len(self.y))
        last = int(share * len(self.y))
        if whole:
            yield from zip(self.X[order][:last].split(self.batch), self.y[order][:last].split(self.batch), strict=True)
            return
        for rows in order[:last].split(self.batch):
            yield self.X.index_select(0, rows), self.y.index_select(0, rows)

    def by_hand(self, share: float, whole: bool = False) -> None:
        """Step with the gradient written out."""
        import torch

        weights, bias = torch.zeros(self.X.shape[1]), torch.zeros(())
        with torch.inference_mode():
            for rows, truth in self._batches(share, whole):
                slope = torch.sigmoid(torch.mv(rows, weights) + bias).sub_(truth)
                weights.mul_(1 - self.rate * self.l2).sub_(torch.mv(rows.t(), slope), alpha=self.rate / len(truth))
                bias.sub_(slope.mean(), alpha=self.rate)

    def by_autograd(self, share: float) -> None:
        """Step with the gradient of autograd."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        weights, bias = torch.zeros(self.X.shape[1], requires_grad=True), torch.zeros((), requires_grad=True)
        for rows, truth in self._batches(share):
            loss = binary_cross_entropy_with_logits(torch.mv(rows, weights) + bias, truth)
            by_weights, by_bias = torch.autograd.grad(loss, (weights, bias))
            with torch.no_grad():
                weights.mul_(1 - self.rate * self.l2).sub_(by_weights, alpha=self.rate)
                bias.sub_(by_bias, alpha=self.rate)

    def by_optimizer(self, share: float) -> None:
        """Step as the tutorials do."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        linear = torch.nn.Linear(self.X.shape[1], 1)
        optimizer = torch.optim.SGD(linear.parameters(), lr=self.rate, weight_decay=self.l2)
        for rows, truth in self._batches(share):
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(linear(rows)[:, 0], truth).backward()
            optimizer.step()
