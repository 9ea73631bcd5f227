from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from downslope.data.features import Prepared, prepare
from downslope.data.sources import Table, read
from downslope.errors import ColumnError, InputError, OptionError, TargetError, WeightsError
from downslope.records.spec import LOSSES, Spec

ROWS = 60
X = np.random.default_rng(0).normal(size=ROWS)


def table_of(**columns: object) -> Table:
    return read({"x": X, **columns})


def made(y: object, **call: object) -> Prepared:
    return prepare(table_of(y=y), Spec(**{"target": "y", **call}))  # type: ignore[arg-type]


def complaint(kind: type[InputError], table: Table, *, given: dict[str, object] | None = None, **call: object) -> str:
    with pytest.raises(kind) as caught:
        prepare(table, Spec(**{"target": "y", **call}), **(given or {}))  # type: ignore[arg-type]
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert len(text) < 400
    return text


WORDS = ["no", "yes"] * (ROWS // 2)
THREE = ["c", "a", "b"] * (ROWS // 3)


@pytest.mark.parametrize(
    ("y", "loss", "resolved", "classes", "kind"),
    [
        (WORDS, "auto", "log", ("no", "yes"), "category"),
        (THREE, "auto", "softmax", ("a", "b", "c"), "category"),
        (THREE, "log", "log", ("a", "b", "c"), "category"),
        (THREE, "hinge", "hinge", ("a", "b", "c"), "category"),
        (WORDS, "softmax", "softmax", ("no", "yes"), "category"),
        ([True, False] * 30, "auto", "log", ("false", "true"), "boolean"),
        ([True, False] * 30, "squared", "squared", (), "boolean"),
        ([1, 2, 10] * 20, "auto", "squared", (), "number"),
        ([1, 2, 10] * 20, "softmax", "softmax", ("1", "2", "10"), "category"),
        ([1.0, 2.0] * 30, "log", "log", ("1", "2"), "category"),
        ([0.5, -1.5] * 30, "hinge", "hinge", ("-1.5", "0.5"), "category"),
        ([0, 1, 5] * 20, "poisson", "poisson", (), "number"),
        ([0.0, 1.5, 5] * 20, "huber", "huber", (), "number"),
        (pa.array(THREE).dictionary_encode(), "auto", "softmax", ("a", "b", "c"), "category"),
    ],
)
def test_loss_and_classes_follow_the_target(
    y: object, loss: str, resolved: str, classes: tuple[str, ...], kind: str
) -> None:
    ready = made(y, loss=loss, holdout=0)
    assert (ready.loss, ready.classes, ready.summary.classes) == (resolved, classes, classes)
    assert ready.summary.target_kind == kind
    values = y.to_pylist() if isinstance(y, pa.Array) else list(y)  # type: ignore[call-overload]
    if classes:
        names = [str(v).lower() if isinstance(v, bool) else f"{v:g}" if not isinstance(v, str) else v for v in values]
        assert [classes[int(each)] for each in ready.train.target] == names
    else:
        np.testing.assert_array_equal(ready.train.target, np.array(values, float))


def test_rows_without_a_target_are_dropped_and_counted() -> None:
    for y in ([None, *WORDS[1:]], [None, *range(1, ROWS)], [float("nan"), *X[1:]], [None, *[True, False] * 29, True]):
        ready = made(y)
        assert ready.summary.dropped_rows == 1
        assert ready.summary.rows == ROWS - 1
        assert 0 not in ready.holdout_rows
        assert np.isfinite(ready.train.target).all()
    whole = made([None, *range(1, ROWS)], holdout=0)
    np.testing.assert_array_equal(whole.train.target, np.arange(1.0, ROWS))
    assert whole.train.blocks[0].rows == ROWS - 1


@pytest.mark.parametrize(
    ("y", "loss", "words"),
    [
        ([None] * ROWS, "auto", "missing in every row"),
        ([float("nan")] * ROWS, "auto", "missing in every row"),
        ([7] * ROWS, "auto", "constant, always 7"),
        ([7] * ROWS, "softmax", "constant, always 7"),
        (["a"] * ROWS, "auto", "constant, always a"),
        ([True, None] * 30, "auto", "constant, always true"),
        ([pd.Timestamp("2024-01-01")] * ROWS, "auto", "date"),
        ([[1]] * ROWS, "auto", "nested"),
        ([*range(30), -1, *range(29)], "poisson", "negative in row 31 (-1)"),
        ([*range(30), 0.5, *range(29)], "poisson", "not whole in row 31 (0.5)"),
        ([*X[:9], float("inf"), *X[10:]], "auto", "infinity in row 10"),
        ([*X[:9], float("-inf"), *X[10:]], "softmax", "infinity in row 10"),
    ],
)
def test_a_bad_target_gets_one_sentence(y: object, loss: str, words: str) -> None:
    text = complaint(TargetError, table_of(y=y), loss=loss)
    assert words in text
    assert '"y"' in text


@pytest.mark.parametrize("loss", [each for each in LOSSES if each not in ("log", "softmax", "hinge", "squared-hinge")])
def test_a_text_target_is_refused_by_a_loss_for_numbers(loss: str) -> None:
    assert f"text, but the {loss} loss needs numbers" in complaint(TargetError, table_of(y=WORDS), loss=loss)


def test_too_many_classes_are_refused() -> None:
    many = read({"x": np.arange(3000.0), "y": np.arange(3000) // 2})
    assert "1,500 distinct values" in complaint(TargetError, many, loss="softmax")


def test_the_target_must_be_named_and_there() -> None:
    assert "--target" in complaint(TargetError, table_of(y=WORDS), target="")
    assert 'no target "Y"' in (text := complaint(ColumnError, table_of(y=WORDS), target="Y"))
    assert 'nearest: "y"' in text


def upright(values: object) -> object:
    return np.asarray(values)[:, None]


@pytest.mark.parametrize("form", [np.asarray, list, tuple, pd.Series, pl.Series, pa.array, upright])
def test_a_target_and_weights_may_be_arrays(form: type) -> None:
    y, weights = X * 2, np.abs(X)
    ready = prepare(table_of(), Spec(), target=form(y), weights=form(weights))
    rows = np.setdiff1d(np.arange(ROWS), ready.holdout_rows)
    np.testing.assert_array_equal(ready.train.target, y[rows])
    np.testing.assert_array_equal(ready.train.weights, weights[rows])
    assert ready.holdout is not None
    np.testing.assert_array_equal(ready.holdout.weights, weights[ready.holdout_rows])
    assert ready.plan.inputs == ("x",)


def test_an_array_of_another_length_or_of_mixed_types_is_refused() -> None:
    for name, kind in (("target", TargetError), ("weights", WeightsError)):
        given = {"target": X, name: X[:-1]}
        assert "59 values for 60 rows" in complaint(kind, table_of(), given=given, target="")
        assert "one column" in complaint(kind, table_of(), given={"target": X, name: [1, "a"] * 30}, target="")
        assert "one column" in complaint(kind, table_of(), given={"target": X, name: np.zeros((60, 2))}, target="")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0] * 10 + [-1.0] * 50, "negative in row 11"),
        ([1.0, None] * 30, "missing in row 2"),
        ([1.0, float("nan")] * 30, "missing in row 2"),
        ([1.0, float("inf")] * 30, "infinity in row 2"),
        ([0.0] * ROWS, "zero in every row"),
        (WORDS, "not numbers"),
    ],
)
def test_bad_weights_get_one_sentence(weights: object, words: str) -> None:
    table = table_of(y=X, w=weights)
    text = complaint(WeightsError, table, weights="w")
    assert words in text
    assert '"w"' in text
    assert words in complaint(WeightsError, table, given={"weights": weights})


def test_a_weights_column_is_no_feature() -> None:
    weights = np.arange(ROWS) % 3
    ready = prepare(table_of(y=X, w=weights), Spec(target="y", weights="w", holdout=0))
    np.testing.assert_array_equal(ready.train.weights, weights)
    assert ready.plan.inputs == ("x",)
    assert [each.name for each in ready.summary.columns] == ["x"]
    assert 'no weights column "v"' in complaint(ColumnError, table_of(y=X, w=weights), weights="v")


def test_class_weights_need_classes() -> None:
    assert "class-weight" in complaint(OptionError, table_of(y=X), class_weight="balanced")
    assert made(WORDS, class_weight="balanced").loss == "log"


def test_classes_that_no_row_has_are_none() -> None:
    y = pd.Categorical(["b", "a"] * 30, categories=["z", "b", "a", "never"])
    ready = prepare(read(pd.DataFrame({"x": X, "y": y})), Spec(target="y", holdout=0))
    assert ready.classes == ("a", "b")
    np.testing.assert_array_equal(ready.train.target, [1.0, 0.0] * 30)
