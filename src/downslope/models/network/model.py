"""A trained network that takes tables or images: ``Run.model``, saved without pickle."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.images import Images, read_images
from downslope.data.images.pixels import as_pixels, fit_channels
from downslope.data.plan import Plan
from downslope.data.sources import read
from downslope.data.table import Table
from downslope.errors import ColumnError, RunError
from downslope.models.answers import class_probabilities, predictions
from downslope.models.network.grammar import Architecture
from downslope.types import JsonValue, Matrix
from downslope.words import say

CHUNK = 1024
"""Most examples scored at once."""
CHUNK_VALUES = 1 << 21
"""Most values of the widest layer that are held at once: 8 MB, which stay near the processor and take half the time."""
NEIGHBOURS = 9
"""Pixels that a convolution lays side by side for each pixel."""


@dataclass(frozen=True)
class PixelScale:
    """How the pixels of a source become those that a network takes: ``(pixel - center) / scale`` by channel.

    resize: the side that each image was brought to when it was read, None where it was left as it is.
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]
    resize: int | None = None

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain values."""
        return {"center": list(self.center), "scale": list(self.scale), "resize": self.resize}

    @classmethod
    def from_json(cls, values: dict[str, JsonValue]) -> PixelScale:
        """Return what ``to_json`` gave; raises KeyError."""
        return cls(tuple(values["center"]), tuple(values["scale"]), values["resize"])


@dataclass(frozen=True)
class NetworkModel:
    """A network with all that it needs to be asked.

    architecture: its layers. arrays: weights and statistics by name. shape: of one example. loss: its name. classes:
    names in the order of the outputs, empty for a number. target: the column predicted. center, scale: scores become
    ``center + scale * score``. plan: how columns become features, for a network on tables. pixels: how images are
    scaled, for one on images.
    """

    architecture: Architecture
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)
    shape: tuple[int, ...]
    loss: str
    classes: tuple[str, ...] = ()
    target: str = ""
    center: float = 0.0
    scale: float = 1.0
    plan: Plan | None = None
    pixels: PixelScale | None = None

    @property
    def outputs(self) -> int:
        """k, the number of scores of an example."""
        return self.arrays["last.bias"].shape[0]

    @cached_property
    def _ask(self) -> Any:
        import equinox as eqx
        import jax

        from downslope.models.network.layers import Batch, build_network

        start = build_network(self.architecture, self.shape, self.outputs, jax.random.PRNGKey(0))
        weights, rest = eqx.partition(start, eqx.is_inexact_array)
        learned, statistics = with_arrays(weights, start.statistics, self.arrays)
        network = eqx.combine(learned, rest)
        pixels = self.pixels or PixelScale((0.0,), (1.0,))
        center, scale = np.array(pixels.center, np.float32), np.array(pixels.scale, np.float32)

        def ask(numbers: Any, codes: Any) -> Any:
            return network(Batch((numbers.astype(np.float32) - center) / scale, codes), statistics)[0]

        return jax.jit(ask)

    @property
    def _chunk(self) -> int:
        """Return how many examples to score at once, so that large images fit in memory."""
        if self.pixels is None:
            return CHUNK
        return min(CHUNK, max(1, CHUNK_VALUES // max(layer_values(self.architecture, self.shape))))

    def scores_of(self, numbers: NDArray[Any], codes: NDArray[np.int32] | None = None) -> Matrix:
        """Return the scores (n, k) of examples: encoded model features, or pixels as ``data.images`` reads them."""
        levels = np.empty((numbers.shape[0], 0), np.int32) if codes is None else codes
        parts: list[Matrix] = []
        for first in range(0, numbers.shape[0], self._chunk):
            rows = np.minimum(np.arange(first, first + self._chunk), numbers.shape[0] - 1)
            some = numbers[rows]
            part = self._ask(some if some.dtype == np.uint8 else some.astype(np.float32), levels[rows])
            parts.append(np.asarray(part, np.float64)[: numbers.shape[0] - first])
        return self.center + self.scale * np.concatenate(parts)

    def scores(self, source: object) -> Matrix:
        """Return the scores (n, k) of a table or of images: a source of any kind, a ``Table`` or ``Images``.

        An array of one image, (height, width[, channels]), is taken as such. Raises SourceError, and ColumnError where
        columns are absent or images are of another size than in training.
        """
        if self.plan is None:
            return self.scores_of(self.pixels_of(source))
        ready = source if isinstance(source, Table) else read(source)
        return self.scores_of(*self.plan.encode(ready))

    def pixels_of(self, source: object) -> NDArray[Any]:
        """Return the pixels (n, height, width, c) of images that the network takes; raises SourceError, ColumnError."""
        images = source if isinstance(source, Images) else self.read(source)
        pixels = fit_channels(images.pixels, self.shape[2], images.source)
        if pixels.shape[1:] != self.shape:
            height, width = pixels.shape[1:3]
            message = say(
                "the model takes images of {wide} x {high} pixels, but those of {source} have {width} x "
                "{height}; bring them to that size, or train with --resize",
                wide=self.shape[1],
                high=self.shape[0],
                source=images.source,
                width=width,
                height=height,
            )
            raise ColumnError(message)
        return pixels

    def read(self, source: object) -> Images:
        """Return the images of a source as those of the training were read; raises SourceError."""
        if self.pixels is None:
            message = say("this model takes tables, not images")
            raise RunError(message)
        shape = tuple(getattr(source, "shape", ()))
        if shape in (self.shape, self.shape[:2]):
            return Images(as_pixels(np.asarray(source)[None], "the array", None), None, "the array")
        return read_images(source, resize=self.pixels.resize)

    def predict(self, table: object) -> np.ndarray:
        """Return a prediction for each row of a table or each image, (n,): a number, or the name of a class."""
        return self.respond(self.scores(table))

    def respond(self, scores: Matrix) -> np.ndarray:
        """Return the predictions that scores (n, k) stand for."""
        return predictions(scores, self.loss, self.classes)

    def probabilities(self, scores: Matrix) -> Matrix | None:
        """Return (n, classes) probabilities, or None where the loss gives none."""
        return class_probabilities(scores, self.loss, self.classes)

    def to_files(self) -> dict[str, bytes]:
        """Return the files that hold the model, relative name -> content."""
        from safetensors.numpy import save

        described: dict[str, JsonValue] = {
            "kind": "network", "architecture": self.architecture.to_json(), "shape": list(self.shape),
            "loss": self.loss, "classes": list(self.classes), "target": self.target, "center": self.center,
            "scale": self.scale, "plan": None if self.plan is None else self.plan.to_json(),
            "pixels": None if self.pixels is None else self.pixels.to_json(),
        }  # fmt: skip
        arrays = {name: np.ascontiguousarray(array) for name, array in self.arrays.items()}
        return {
            "weights.safetensors": save(arrays),
            "model.json": json.dumps(described, ensure_ascii=False, indent=1).encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> NetworkModel:
        """Return the model that ``to_files`` gave; raises RunError where a file is absent or cannot be read."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(files["weights.safetensors"])
            told = json.loads(files["model.json"])
            plan = None if told["plan"] is None else Plan.from_json(told["plan"])
            pixels = PixelScale.from_json(told["pixels"]) if told.get("pixels") else None
            return cls(
                Architecture.from_json(told["architecture"]), arrays, tuple(told["shape"]), told["loss"],
                tuple(told["classes"]), told["target"], told["center"], told["scale"], plan, pixels,
            )  # fmt: skip
        except (KeyError, ValueError, TypeError, SafetensorError) as error:
            message = say("the model of this run cannot be read ({name}); fit again", name=type(error).__name__)
            raise RunError(message) from error


def layer_values(architecture: Architecture, shape: tuple[int, ...]) -> list[int]:
    """Return how many values each layer holds for one image: its pixels, then what goes in and out of each layer."""
    height, width, inputs = shape
    values = [height * width * inputs]
    for channels in architecture.channels:
        values.append(height * width * (inputs * NEIGHBOURS + channels))
        height, width, inputs = height // 2, width // 2, channels
    return [*values, *architecture.hidden]


def arrays_of(weights: Any, statistics: Any) -> dict[str, NDArray[Any]]:
    """Return weights and running statistics by name, such as ``hidden.0.layer.weight``."""
    import jax

    named = {
        _name(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(weights)[0]
    }  # fmt: skip
    for index, (mean, variance) in enumerate(statistics):
        named[f"statistics.{index}.mean"], named[f"statistics.{index}.variance"] = (
            np.asarray(mean),
            np.asarray(variance),
        )
    return named


def with_arrays(weights: Any, statistics: Any, arrays: Mapping[str, NDArray[Any]]) -> tuple[Any, Any]:
    """Return trees like those given that hold the arrays ``arrays_of`` named; raises KeyError, ValueError."""
    import jax
    import jax.numpy as jnp

    leaves, tree = jax.tree_util.tree_flatten_with_path(weights)
    found = [arrays[_name(path)] for path, _ in leaves]
    for (path, leaf), array in zip(leaves, found, strict=True):
        if leaf.shape != array.shape:
            message = say(
                "{name} has the shape {shape}, but the network needs {needed}",
                name=_name(path),
                shape=str(array.shape),
                needed=str(leaf.shape),
            )
            raise ValueError(message)
    seen = tuple(
        (
            jnp.asarray(arrays[f"statistics.{index}.mean"]),
            jnp.asarray(arrays[f"statistics.{index}.variance"]),
        )
        for index in range(len(statistics))
    )
    return jax.tree_util.tree_unflatten(tree, [jnp.asarray(array) for array in found]), seen


def _name(path: Any) -> str:
    return ".".join(str(getattr(key, "name", getattr(key, "idx", key))) for key in path)
