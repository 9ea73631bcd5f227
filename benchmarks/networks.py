"""Networks against PyTorch's eager loop and scikit-learn's MLPClassifier: the same layers, rule, rate and batches."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import torch_loops
from benchmarks.clock import Timing, median_time, once
from benchmarks.problems import softmax_fashion
from benchmarks.race import Effort
from benchmarks.results import Figure, seconds

RATE = 0.01
LANES = 32
GOAL = 0.88


@dataclass(frozen=True)
class Case:
    """A network on some rows. wanted: times faster than PyTorch eager."""

    title: str
    model: str
    batch: int
    wanted: float
    X: NDArray[np.float32]
    y: NDArray[np.int64]


def cases(data: Path) -> list[Case]:
    """Return the networks of the issue: three of layers that see all, one of convolutions."""
    fashion = softmax_fashion(data)
    X, y = fashion.X, fashion.y.astype(np.int64)
    small = np.random.default_rng(0).permutation(X.shape[1])[:64]
    images = X[:16_000].reshape(-1, 28, 28, 1)
    return [
        Case("64-32-32-10", "mlp:32,32", 32, 5.0, np.ascontiguousarray(X[:20_000, small]), y[:20_000]),
        Case("784-128-128-10", "mlp:128,128", 64, 2.0, X[:20_000], y[:20_000]),
        Case("784-512-512-10", "mlp:512,512", 128, 1.2, X[:20_000], y[:20_000]),
        Case("two convolutions, 28 x 28", "cnn:16,32/128", 64, 1.2, images, y[:16_000]),
    ]


def epoch_of(case: Case, lanes: int = 1) -> Callable[[], object]:
    """Return one shuffled epoch of plain steps: the order drawn, sent to the loop, and every batch taken."""
    import jax

    from downslope.data.batches import order
    from downslope.engines.network.inputs import batch_loss, on_device, parts_of
    from downslope.engines.network.loop import Program, as_lanes, first_state
    from downslope.engines.network.rules import rule_of
    from downslope.losses import make_loss
    from downslope.models.network import parse_model
    from downslope.models.network.layers import build_network
    from downslope.training.network.descent import NORM_EVERY

    rows = case.y.shape[0]
    steps = -(-rows // case.batch)
    network = build_network(parse_model(case.model), case.X.shape[1:], 10, jax.random.PRNGKey(0))
    weights, rest = parts_of(network)
    rule = rule_of("plain", 0.0, None)
    loss = batch_loss(rest, make_loss("softmax"), 0.0)
    program = Program(loss, rule, case.batch, steps, 1e9, lanes=lanes > 1, norm_every=NORM_EVERY)
    state = first_state(weights, rule, network.statistics, 0, keep_good=False)
    rates = np.full(steps, RATE)
    if lanes > 1:
        state, rates = as_lanes(state, lanes), np.outer(RATE / 1.1 ** np.arange(lanes), np.ones(steps))
    held = [state]
    data = on_device(case.X, None, case.y, None)

    def epoch() -> object:
        held[0], chunk = program.advance(held[0], data, order(rows, 0, 0), rates)
        return chunk

    epoch()
    return epoch


def torch_network(case: Case) -> Any:
    """Return the same layers in PyTorch."""
    from torch import nn

    from downslope.models.network import parse_model

    found = parse_model(case.model)
    layers: list[Any] = []
    before = 1
    for channels in found.channels:
        layers += [nn.Conv2d(before, channels, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
        before = channels
    if found.channels:
        layers.append(nn.Flatten())
        before *= 7 * 7
    else:
        before = case.X.shape[1]
    for units in found.hidden:
        layers += [nn.Linear(before, units), nn.ReLU()]
        before = units
    return nn.Sequential(*layers, nn.Linear(before, 10))


def torch_epoch(case: Case) -> Callable[[], None]:
    """Return one shuffled epoch of PyTorch's eager loop on two threads: tensors in memory, torch.optim.SGD."""
    import torch

    torch.set_num_threads(2)
    network = torch_network(case)
    rule = torch.optim.SGD(network.parameters(), lr=RATE)
    loss = torch.nn.CrossEntropyLoss()
    X = torch.from_numpy(case.X if case.X.ndim == 2 else np.ascontiguousarray(case.X.transpose(0, 3, 1, 2)))
    y = torch.from_numpy(case.y)

    def epoch() -> None:
        drawn = torch.randperm(len(y))
        for first in range(0, len(y), case.batch):
            rows = drawn[first : first + case.batch]
            rule.zero_grad()
            loss(network(X[rows]), y[rows]).backward()
            rule.step()

    return epoch


def sklearn_epoch(case: Case) -> Callable[[], None]:
    """Return one epoch of scikit-learn's MLPClassifier with plain steps."""
    from sklearn.neural_network import MLPClassifier

    from downslope.models.network import parse_model

    model = MLPClassifier(
        parse_model(case.model).hidden, solver="sgd", alpha=0.0, batch_size=case.batch, learning_rate_init=RATE,
        momentum=0.0, max_iter=1, warm_start=True,
    )  # fmt: skip

    def epoch() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(case.X, case.y)

    return epoch


def epoch_figures(case: Case, effort: Effort) -> list[Figure]:
    """Compare an epoch with those of the peers; compiling is done before, and stated apart."""
    ours = median_time(epoch_of(case), effort.repeats)
    found = []
    if torch_loops.available():
        theirs = median_time(torch_epoch(case), effort.repeats)
        found.append(
            _faster(f"an epoch of {case.title}, batch {case.batch}", ours, theirs, "PyTorch eager", case.wanted)
        )
    if case.X.ndim == 2:
        theirs = median_time(sklearn_epoch(case), effort.repeats)
        found.append(_faster(f"an epoch of {case.title}, batch {case.batch}", ours, theirs, "MLPClassifier", 4.0))
    return found


def _faster(claim: str, ours: Timing, theirs: Timing, peer: str, wanted: float) -> Figure:
    ratio = theirs.seconds / ours.seconds
    return Figure(claim, seconds(ours.seconds), seconds(theirs.seconds), peer, ratio, wanted)


def lanes_figure(case: Case, effort: Effort) -> Figure:
    """Compare LANES trainings side by side with as many one after the other."""
    together = median_time(epoch_of(case, LANES), effort.repeats)
    apart = LANES * median_time(epoch_of(case), effort.repeats).seconds
    return Figure(
        f"{LANES} lanes of {case.title}", seconds(together.seconds), seconds(apart), f"{LANES} separate runs",
        together.seconds / apart, 0.5, at_least=False, unit=" of it",
    )  # fmt: skip


OURS = """
import sys, time
began = time.time()
import numpy as np
from pathlib import Path
from benchmarks.networks import goal_ours
print(goal_ours(Path(sys.argv[1])))
"""
THEIRS = OURS.replace("goal_ours", "goal_theirs")


def fashion_bytes(data: Path) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Return the training and test images of Fashion-MNIST, flat and in [-1, 1], with their labels."""
    from benchmarks.problems import _idx

    folder = data / "fashion-mnist"
    parts: list[Any] = []
    for part in ("train", "t10k"):
        pixels = _idx(folder / f"{part}-images-idx3-ubyte.gz", header=16).reshape(-1, 784)
        parts += [
            pixels.astype(np.float32) / 127.5 - 1,
            _idx(folder / f"{part}-labels-idx1-ubyte.gz", header=8).astype(np.int64),
        ]
    return parts[0], parts[1], parts[2], parts[3]


def goal_ours(data: Path, rate: float = 1e-3, batch: int = 128) -> float:
    """Train mlp:128,128 with Adam until the test accuracy is GOAL; return it."""
    import jax

    from downslope.data.batches import order
    from downslope.engines.network.caching import keep_programs
    from downslope.engines.network.inputs import Passes, batch_loss, on_device, parts_of
    from downslope.engines.network.loop import Program, first_state
    from downslope.engines.network.rules import rule_of
    from downslope.losses import make_loss
    from downslope.models.network import parse_model
    from downslope.models.network.layers import build_network
    from downslope.training.network.descent import NORM_EVERY

    keep_programs()
    X, y, X_test, y_test = fashion_bytes(data)
    network = build_network(parse_model("mlp:128,128"), (784,), 10, jax.random.PRNGKey(0))
    weights, rest = parts_of(network)
    rule = rule_of("adam", 0.9, None)
    loss = batch_loss(rest, make_loss("softmax"), 0.0)
    program = Program(loss, rule, batch, 128, 1e9, norm_every=NORM_EVERY)
    state = first_state(weights, rule, (), 0, keep_good=False)
    train, test, passes = on_device(X, None, y, None), on_device(X_test, None, y_test, None), Passes(rest)
    for epoch in range(50):
        rows = order(len(y), 0, epoch)
        for first in range(0, len(y), 128 * batch):
            some = rows[first : first + 128 * batch]
            state, _ = program.advance(state, train, some, np.full(-(-len(some) // batch), rate))
            accuracy = float((passes.scores(state.weights, (), test).argmax(axis=1) == y_test).mean())
            if accuracy >= GOAL:
                return accuracy
    return accuracy


def goal_theirs(data: Path, rate: float = 1e-3, batch: int = 128) -> float:
    """Do the same in PyTorch's eager loop."""
    import torch

    torch.set_num_threads(2)
    torch.manual_seed(0)
    X, y, X_test, y_test = (torch.from_numpy(each) for each in fashion_bytes(data))
    network = torch.nn.Sequential(
        torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )
    rule, loss = torch.optim.Adam(network.parameters(), lr=rate), torch.nn.CrossEntropyLoss()
    for _ in range(50):
        drawn = torch.randperm(len(y))
        for step, first in enumerate(range(0, len(y), batch)):
            rows = drawn[first : first + batch]
            rule.zero_grad()
            loss(network(X[rows]), y[rows]).backward()
            rule.step()
            if step % 128 == 127 or first + batch >= len(y):
                with torch.no_grad():
                    accuracy = float((network(X_test).argmax(dim=1) == y_test).float().mean())
                if accuracy >= GOAL:
                    return accuracy
    return accuracy


def goal_figure(data: Path, effort: Effort) -> Figure:
    """Compare the seconds from the start of a process to GOAL test accuracy, imports and compiling included."""

    def process(script: str) -> Callable[[], None]:
        def run() -> None:
            subprocess.run([sys.executable, "-c", script, str(data)], check=True, capture_output=True)

        return run

    ours = [once(process(OURS)) for _ in range(max(3, effort.repeats // 2))]
    theirs = [once(process(THEIRS)) for _ in range(max(3, effort.repeats // 2))]
    mine, other = float(np.median(ours)), float(np.median(theirs))
    return Figure(
        f"process start to {GOAL:.0%} on Fashion-MNIST, 784-128-128-10", seconds(mine), seconds(other), "PyTorch eager",
        mine / other, 0.5, at_least=False, unit=" of it",
    )  # fmt: skip


def figures(data: Path, effort: Effort) -> list[Figure]:
    """Return every figure of this page."""
    every = cases(data)
    found = [figure for case in every for figure in epoch_figures(case, effort)]
    found.append(lanes_figure(every[0], effort))
    if torch_loops.available():
        found.append(goal_figure(data, effort))
    return found
