"""Images made ready to learn from: the hold-out, the labels, the scale of each channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from downslope.data.images import Images, prepare_images, read_images
from downslope.data.images.prepare import channel_moments
from downslope.errors import OptionError, TargetError
from downslope.records import Spec

COUNT, HEIGHT, WIDTH = 12, 5, 7


def many(count: int = 300, channels: int = 1) -> Images:
    drawer = np.random.default_rng(1)
    pixels = drawer.integers(0, 256, (count, 4, 4, channels)).astype(np.uint8)
    return Images(pixels, drawer.integers(0, 10, count), "somewhere", "digit")


def test_the_hold_out_is_that_of_a_table_of_the_same_rows() -> None:
    from downslope.data.features import prepare
    from downslope.data.sources import read as read_table

    images = many()
    assert images.target is not None
    spec = Spec(target="y", loss="softmax", seed=3)
    table = prepare(read_table({"x": np.arange(300) % 7, "y": images.target}), spec)
    ours = prepare_images(images, spec)
    np.testing.assert_array_equal(ours.holdout_rows, table.holdout_rows)
    np.testing.assert_array_equal(ours.train.target, table.train.target)
    assert ours.holdout is not None
    np.testing.assert_array_equal(ours.holdout.pixels, images.pixels[table.holdout_rows])
    assert ours.classes == table.classes
    assert (ours.summary.train_rows, ours.summary.holdout_rows) == (240, 60)
    again = prepare_images(images, Spec(target="y", seed=4))
    assert not np.array_equal(again.holdout_rows, ours.holdout_rows)


@pytest.mark.parametrize(
    ("target", "loss", "classes"),
    [
        (np.arange(300) % 10, "softmax", tuple("0123456789")), (np.arange(300) % 2 == 0, "log", ("false", "true")),
        ((np.arange(300) % 2).astype(np.uint8), "log", ("0", "1")), (np.arange(300) * 0.5, "squared", ()),
        (np.arange(300), "squared", ()), (np.array(["b", "a", "c"] * 100), "softmax", ("a", "b", "c")),
        ([12, 4, 100] * 100, "softmax", ("4", "12", "100")),
    ],
)  # fmt: skip
def test_labels_choose_the_loss(target: Any, loss: str, classes: tuple[str, ...]) -> None:
    found = prepare_images(read_images(many().pixels, target), Spec())
    assert (found.loss, found.classes) == (loss, classes)
    asked = prepare_images(read_images(many().pixels, np.arange(300) % 10), Spec(loss="squared"))
    assert (asked.loss, asked.classes) == ("squared", ())


def test_images_without_a_label_are_left_out() -> None:
    target = np.array([None, *["a", "b"] * 20], dtype=object)
    found = prepare_images(read_images(many(41).pixels, target), Spec(holdout=0.25))
    assert found.summary.dropped_rows == 1
    assert found.summary.rows == 40
    assert 0 not in found.holdout_rows


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_mean_and_deviation_of_each_channel_are_those_of_the_training_part(dtype: type) -> None:
    images = many(channels=3)
    pixels = images.pixels.astype(dtype) + dtype(0.25 if dtype is np.float32 else 0)
    found = prepare_images(Images(pixels, images.target, "somewhere"), Spec())
    kept = np.delete(pixels, found.holdout_rows, axis=0).astype(np.float64)
    np.testing.assert_allclose(found.center, kept.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found.scale, kept.std(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_array_equal(channel_moments(np.full((2, 3, 3, 1), 9, dtype))[1], [1.0])
    plain = prepare_images(images, Spec(standardize=False))
    assert (plain.center.tolist(), plain.scale.tolist()) == ([0.0] * 3, [1.0] * 3)


def test_targets_that_cannot_be_learned() -> None:
    with pytest.raises(TargetError, match="name their labels with --target"):
        prepare_images(read_images(many().pixels), Spec())
    with pytest.raises(TargetError, match="constant"):
        prepare_images(read_images(many().pixels, ["a"] * 300), Spec())
    with pytest.raises(OptionError, match="one row only"):
        prepare_images(read_images(many().pixels, ["a", "b"] * 149 + ["a", "c"]), Spec())
