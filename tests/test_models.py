from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.data.features import prepare
from downslope.data.sources import read
from downslope.errors import ColumnError, RunError
from downslope.losses import Log, Loss, Softmax, Squared
from downslope.models.linear import CHUNK, LinearModel, Objective, Point, chunk_scores
from downslope.records import Spec

ROWS = 60


@cache
def columns(rows: int = ROWS) -> dict[str, Any]:
    drawn = np.random.default_rng(0)
    return {
        "distance": drawn.normal(1000, 300, rows),
        "delay": np.where(drawn.random(rows) < 0.2, np.nan, drawn.normal(5, 30, rows)),
        "carrier": drawn.choice(["AA", "UA", "航空"], rows).tolist(),
        "kind": drawn.choice(["a", "b", "c"], rows).tolist(),
        "y": drawn.normal(0, 1, rows),
    }


def model(loss: str = "squared", classes: tuple[str, ...] = (), target: str = "y", outputs: int = 1) -> LinearModel:
    drop = ("kind",) if target == "y" else ("y",)
    made = prepare(read(columns()), Spec(target=target, drop=drop, holdout=0.0))
    drawn = np.random.default_rng(1)
    point = Point(drawn.standard_normal((made.plan.features, outputs)), drawn.standard_normal(outputs))
    return LinearModel(made.plan, point, loss, classes, target)


def by_hand(fitted: LinearModel, rows: int = ROWS) -> np.ndarray:
    """Return the scores of the columns from the model's weights and the column values alone."""
    names = fitted.plan.feature_names()
    table = columns(rows)
    delay = np.asarray(table["delay"])
    mean = np.nanmean(np.asarray(columns()["delay"]))
    values = {
        "distance": np.asarray(table["distance"]),
        "delay": np.where(np.isnan(delay), mean, delay),
        "delay is missing": np.isnan(delay).astype(float),
    }
    scores = np.tile(fitted.point.intercept, (rows, 1))
    for name, weights in zip(names, fitted.point.weights, strict=True):
        if "=" in name:
            level = name.split("=")[1]
            feature = (np.array(table["carrier"]) == level).astype(float)
        else:
            missing = "missing" in name
            feature = values["delay is missing"] if missing else values[name]
            known = values["delay is missing"] if missing else values[name]
            at_fit = known[:ROWS]
            feature = (feature - at_fit.mean()) / at_fit.std()
        scores += feature[:, None] * weights
    return scores


def test_scores_are_those_of_the_standardised_columns() -> None:
    fitted = model()
    np.testing.assert_allclose(fitted.scores(columns()), by_hand(fitted), rtol=1e-9, atol=1e-9)


def test_a_table_longer_than_a_chunk_is_scored_row_by_row_alike() -> None:
    fitted = model()
    many = {name: list(values) * 200 for name, values in columns().items()}
    assert len(many["y"]) > CHUNK
    np.testing.assert_array_equal(fitted.scores(many), np.tile(fitted.scores(columns()), (200, 1)))


@pytest.mark.parametrize("loss", ["squared", "absolute", "huber", "quantile", "poisson"])
def test_numbers_are_predicted_through_the_link_of_the_loss(loss: str) -> None:
    fitted = model(loss)
    scores = fitted.scores(columns())[:, 0]
    np.testing.assert_allclose(fitted.predict(columns()), np.exp(scores) if loss == "poisson" else scores)
    assert fitted.probabilities(scores[:, None]) is None


@pytest.mark.parametrize("loss", ["log", "hinge", "squared-hinge"])
def test_of_two_classes_the_second_is_predicted_above_zero(loss: str) -> None:
    fitted = model(loss, ("no", "yes"), "kind")
    scores = fitted.scores(columns())
    assert fitted.predict(columns()).tolist() == ["yes" if score > 0 else "no" for score in scores[:, 0]]
    chances = fitted.probabilities(scores)
    if loss != "log":
        assert chances is None
        return
    assert chances is not None
    np.testing.assert_allclose(chances[:, 1], 1 / (1 + np.exp(-scores[:, 0])), rtol=1e-12)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, rtol=1e-14)


@pytest.mark.parametrize("loss", ["softmax", "log", "hinge"])
def test_of_several_classes_the_highest_score_is_predicted(loss: str) -> None:
    fitted = model(loss, ("a", "b", "c"), "kind", 3)
    scores = fitted.scores(columns())
    assert fitted.predict(columns()).tolist() == [("a", "b", "c")[k] for k in scores.argmax(axis=1)]
    chances = fitted.probabilities(scores)
    if loss == "hinge":
        assert chances is None
        return
    assert chances is not None
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, rtol=1e-13)
    expected = np.exp(scores) if loss == "softmax" else 1 / (1 + np.exp(-scores))
    np.testing.assert_allclose(chances, expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)


def test_coefficients_are_per_unit_of_the_original_columns() -> None:
    fitted = model()
    table = columns()
    further = dict(table, distance=np.asarray(table["distance"]) + 7.0)
    change = fitted.scores(further)[:, 0] - fitted.scores(table)[:, 0]
    row = fitted.plan.feature_names().index("distance")
    np.testing.assert_allclose(change, 7.0 * fitted.coefficients()[row, 0], rtol=1e-9)
    level = fitted.plan.feature_names().index("carrier=UA")
    assert fitted.coefficients()[level, 0] == fitted.point.weights[level, 0]


def test_a_model_comes_back_from_its_files_as_it_was() -> None:
    fitted = model("softmax", ("a", "b", "ç 三"), "kind", 3)
    files = fitted.to_files()
    assert sorted(files) == ["model.json", "weights.safetensors"]
    assert json.loads(files["model.json"])["classes"] == ["a", "b", "ç 三"]
    again = LinearModel.from_files(files)
    assert (again.plan, again.loss, again.classes, again.target) == (fitted.plan, "softmax", fitted.classes, "kind")
    np.testing.assert_array_equal(again.point.weights, fitted.point.weights)
    np.testing.assert_array_equal(again.point.intercept, fitted.point.intercept)
    np.testing.assert_array_equal(again.scores(columns()), fitted.scores(columns()))


@pytest.mark.parametrize("lost", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\x00\x01 not a model"])
def test_a_damaged_model_is_refused_in_one_sentence(lost: str, content: bytes | None) -> None:
    files = dict(model().to_files())
    if content is None:
        del files[lost]
    else:
        files[lost] = content
    with pytest.raises(RunError, match=r"^the model of this run cannot be read \(\w+\); fit again$"):
        LinearModel.from_files(files)


def test_a_table_without_a_column_of_the_model_is_refused() -> None:
    table = {name: values for name, values in columns().items() if name != "delay"}
    with pytest.raises(ColumnError, match=r'the model needs the column "delay"'):
        model().predict(table)


@given(d=st.integers(0, 5), k=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_point_comes_back_from_its_flat_form(d: int, k: int, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    point = Point(drawn.standard_normal((d, k)), drawn.standard_normal(k))
    again = Point.from_flat(point.flat(), k)
    np.testing.assert_array_equal(again.weights, point.weights)
    np.testing.assert_array_equal(again.intercept, point.intercept)
    assert point.finite
    assert not Point(point.weights, np.full(k, np.nan)).finite


@given(d=st.integers(1, 5), k=st.integers(1, 4), l1=st.floats(0, 2), l2=st.floats(0, 2), seed=st.integers(0, 99))
def test_penalty_is_that_of_the_definition(d: int, k: int, l1: float, l2: float, seed: int) -> None:
    weights = np.random.default_rng(seed).standard_normal((d, k))
    expected = l2 / 2 * (weights**2).sum() + l1 * np.abs(weights).sum()
    assert Objective(Squared(), l1, l2, True, k).penalty(weights) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_one_against_the_rest_asks_of_each_class_whether_it_is_the_one() -> None:
    drawn = np.random.default_rng(0)
    scores, target = drawn.standard_normal((20, 3)), drawn.integers(0, 3, 20).astype(float)
    objective = Objective(Log(), 0.0, 0.0, True, 3)
    asked = (target[:, None] == np.arange(3)).astype(float)
    np.testing.assert_allclose(
        objective.losses(scores, target), (np.log1p(np.exp(scores)) - asked * scores).sum(axis=1)
    )
    np.testing.assert_allclose(objective.slopes(scores, target), 1 / (1 + np.exp(-scores)) - asked, atol=1e-14)


@pytest.mark.parametrize(("loss", "outputs"), [(Squared(), 1), (Softmax(), 3)])
def test_of_one_loss_the_target_stays_as_it_is(loss: Loss, outputs: int) -> None:
    target = np.array([0.0, 2.0, 1.0])
    assert Objective(loss, 0.0, 0.0, True, outputs).target_of(target, 1) is target
    assert Objective(loss, 0.0, 0.0, True, outputs).softmax == (loss.name == "softmax")


@given(p=st.integers(0, 3), q=st.integers(0, 2), k=st.integers(1, 3), seed=st.integers(0, 50))
def test_scores_of_a_chunk_need_no_one_hot_columns(p: int, q: int, k: int, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    numbers = drawn.standard_normal((9, p))
    codes = (drawn.integers(0, 2, (9, q)) + 2 * np.arange(q)).astype(np.int32)
    weights, intercept = drawn.standard_normal((p + 2 * q, k)), drawn.standard_normal(k)
    onehot = np.zeros((9, 2 * q))
    for column in codes.T:
        onehot[np.arange(9), column] = 1
    expected = np.hstack([numbers, onehot]) @ weights + intercept
    np.testing.assert_allclose(chunk_scores(numbers, codes, weights, intercept), expected, atol=1e-12)
