"""Descents of a network taken step by step, as an oracle of the compiled loops."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax

from downslope.data.batches import order
from downslope.engines.network.inputs import batch_loss
from downslope.fitting.network_task import NetworkTask
from downslope.steps import schedule
from downslope.training.network.posing import pose_network
from downslope.training.network.side_by_side import Judge, Losses, starting_points


class Plain:
    """The examples of a task, and descents on them that know of no lane and no chunk."""

    def __init__(self, task: NetworkTask) -> None:
        """Take a task; its network learns without dropout and penalty."""
        self.task = task
        self.problem = pose_network(
            task.architecture, task.train, task.held, task.spec, task.loss, task.outputs, task.huber_delta
        )
        loss = batch_loss(self.problem.rest, self.problem.loss, 0.0)

        def mean_loss(weights: Any, rows: Any) -> Any:
            return loss(weights, (), self.problem.train, rows, np.ones(rows.shape, np.float32), None)[0]

        self._slope = jax.jit(jax.grad(mean_loss))
        self._judge = Judge(self.problem, 0)

    def start(self, start: str, seed: int) -> Any:
        """Return the weights that a start and a seed give."""
        task = self.task
        return starting_points(task.architecture, task.train.shape, task.outputs, (start,), (seed,))[start, seed]

    def losses(
        self, rule: optax.GradientTransformation, weights: Any, batch: int, rate: float, updates: int, seed: int,
        name: str = "constant",
    ) -> Losses:  # fmt: skip
        """Return where so many updates lead. seed: of the order. name: of the schedule."""
        shares = schedule(name, np.arange(updates, dtype=np.float64), updates, 0.0)
        memory, each = rule.init(weights), -(-self.task.rows // batch)
        for update, share in enumerate(shares):
            epoch, within = divmod(update, each)
            rows = order(self.task.rows, seed, epoch)[within * batch : (within + 1) * batch]
            direction, memory = rule.update(self._slope(weights, rows), memory, weights)
            steps = optax.tree.scale(-np.float32(rate * share), direction)
            weights = optax.apply_updates(weights, steps)
        return self._judge.losses(weights, ())
