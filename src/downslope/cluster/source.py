"""A table that lies with the workers of a cluster, asked for sums and a few examples as any other source is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from downslope.cluster.crew import Crew
from downslope.cluster.library import ray
from downslope.cluster.shard import Sharded
from downslope.cluster.tree import sum_of
from downslope.cluster.worker import Named, Reply, joined
from downslope.data.blocks import Examples, Source, Walked
from downslope.errors import WorkerError
from downslope.types import Indices
from downslope.words import say

SMALL = 4096
"""Features up to which weights go to every worker with the question."""
Part = TypeVar("Part")


class ClusterSource(Source):
    """The rows of all shards of a table, in their order.

    like: a source of the same plan, which says how features are scaled; its rows are not looked at. key: of the table,
    which tells it from others.
    """

    def __init__(self, crew: Crew, table: Sharded, like: Source, key: str = "") -> None:
        """Take the rows of all shards that ``crew`` holds of a table as one."""
        self.crew, self.table, self.like, self.key = crew, table, like, key
        for name in (
            "levels", "center", "scale", "applied", "level_scale", "level_offset", "sparse", "sparse_center",
            "sparse_scale",
        ):  # fmt: skip
            setattr(self, name, getattr(like, name))
        self._name, self._told = uuid.uuid4().hex, list[Any]()

    @property
    def rows(self) -> int:
        """n, the number of examples."""
        return self.table.rows

    @property
    def categories(self) -> int:
        """q, the number of category features."""
        return self.like.categories

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32 or float64: the precision of ``numbers``."""
        return self.like.dtype

    def _table(self, actor: Any) -> Named:
        """Return the table for a worker: to one that has it already its name is enough."""
        if any(each is actor for each in self._told):
            return self._name, None
        self._told.append(actor)
        return self._name, self.table

    def _sent(self, work: Any) -> Any:
        """Return work as it travels: what is small goes with the question, what is not is sent once."""
        return work if self.features <= SMALL else ray().put(work)

    def total(self, work: Callable[[Examples], Part], *, features: bool = True) -> Part:
        """Return the sum of ``work(part)`` over the parts of all shards; the same bits for any number of workers.

        Raises WorkerError where rows were lost or counted twice, which nothing else would show.
        """
        sent = self._sent(work)
        replies: list[Reply] = self.crew.ask(lambda actor: actor.total.remote(self._table(actor), sent, features))
        counted = sum(each.rows for each in replies)
        if counted != self.rows:
            raise WorkerError(
                say("the workers added up {counted} rows of {rows}; their shards are not the table's: resume the run",
                    counted=f"{counted:,}", rows=f"{self.rows:,}")
            )  # fmt: skip
        sums: dict[Any, Part | None] = {node: value for each in replies for node, value in each.sums.items()}
        return cast("Part", _own(sum_of(sums, len(self.table.counts))))

    def each(self, work: Callable[[Sequence[tuple[int, Source]]], Walked]) -> list[Walked]:
        """Return what ``work`` gives of the shards of each worker."""
        sent = self._sent(work)
        return self.crew.ask(lambda actor: actor.walk.remote(self._table(actor), sent))

    def pick(self, rows: Indices) -> Examples:
        """Return the examples of the given global indices, rising, in memory as one block."""
        sent = ray().put(rows)
        found: list[Examples | None] = self.crew.ask(lambda actor: actor.pick.remote(self._table(actor), sent))
        whole = joined([each for each in found if each is not None])
        return whole.pick(np.arange(whole.rows))


def _own(found: Any) -> Any:
    """Return a result whose arrays may be written to: one that a single worker sent lies in the object store."""
    if isinstance(found, tuple):
        return tuple(_own(each) for each in cast("tuple[Any, ...]", found))
    if isinstance(found, np.ndarray):
        array = cast("Any", found)
        return array if array.flags.writeable else array.copy()
    return found
