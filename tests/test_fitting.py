from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score

from downslope.data.blocks import Block, Examples
from downslope.errors import ColumnError, OptionError, RunError
from downslope.fitting import fit, predict, race, sweep
from downslope.fitting.race import checkpoints
from downslope.fitting.scores import area_under_roc, scores_of
from downslope.losses import Log, Poisson, Softmax, Squared
from downslope.models.linear import Objective
from downslope.records import GapKind, Spec, StepRecord, Verdict
from downslope.records.comparison import Zone
from downslope.store import load

ROWS = 300


def houses(rows: int = ROWS) -> dict[str, Any]:
    drawn = np.random.default_rng(0)
    area, age = drawn.uniform(40, 200, rows), drawn.uniform(0, 80, rows)
    kind = drawn.choice(["flat", "house", "villa"], rows, p=[0.5, 0.3, 0.2])
    raised = np.array([{"flat": 0.0, "house": 40.0, "villa": 150.0}[each] for each in kind])
    price = 3.0 * area - 0.5 * age + raised + drawn.normal(0, 20, rows)
    return {
        "area": area, "age": age, "kind": kind.tolist(), "price": price,
        "sold": np.where(price > np.median(price), "yes", "no").tolist(),
        "band": np.array(["low", "mid", "high"])[np.digitize(price, np.quantile(price, [1 / 3, 2 / 3]))].tolist(),
        "visits": drawn.poisson(np.exp(area / 100)).astype(np.int64),
    }  # fmt: skip


def only(*names: str) -> dict[str, Any]:
    table = houses()
    return {name: table[name] for name in ("area", "age", "kind", *names)}


def dense(table: dict[str, Any]) -> np.ndarray:
    kinds = np.array(table["kind"])
    return np.column_stack([table["area"], table["age"], kinds == "house", kinds == "villa"]).astype(float)


def test_a_number_is_fitted_by_least_squares_as_scikit_learn_does() -> None:
    table = only("price")
    run = fit(table, "price", holdout=0.0, tolerance=1e-10)
    assert run.verdict is Verdict.CONVERGED
    assert run.gap_kind is GapKind.CERTIFIED
    assert (run.resolved["loss"], run.resolved["method"]) == ("squared", "scaled")
    peer = LinearRegression().fit(dense(table), table["price"])
    predictions = predict(run, table).column("prediction").to_numpy()
    np.testing.assert_allclose(predictions, peer.predict(dense(table)), rtol=1e-5)
    assert run.train["r2"] == pytest.approx(r2_score(table["price"], peer.predict(dense(table))), rel=1e-6)
    assert run.data.rows == ROWS
    assert run.data.train_rows == ROWS
    assert run.holdout == {}


def test_two_classes_are_fitted_by_log_loss_as_scikit_learn_does() -> None:
    table = only("sold")
    run = fit(table, "sold", holdout=0.0, l2=0.1, tolerance=1e-10, standardize=False)
    assert run.data.classes == ("no", "yes")
    features = np.column_stack(
        [table["area"], table["age"], *(np.array(table["kind"]) == k for k in ("flat", "house", "villa"))]
    )
    peer = LogisticRegression(C=1 / (0.1 * ROWS), tol=1e-12, max_iter=100_000).fit(features, table["sold"])
    result = predict(run, table)
    chances = result.column("probability yes").to_numpy()
    np.testing.assert_allclose(chances, peer.predict_proba(features)[:, 1], atol=1e-4)
    np.testing.assert_allclose(chances + result.column("probability no").to_numpy(), 1.0)
    assert result.column("prediction").to_pylist() == peer.predict(features).tolist()
    assert run.train["auc"] == pytest.approx(roc_auc_score(table["sold"], chances), abs=1e-9)


@pytest.mark.parametrize(
    ("target", "loss", "settings"),
    [
        ("price", "squared", {}), ("price", "absolute", {"loss": "absolute"}), ("price", "huber", {"loss": "huber"}),
        ("price", "quantile", {"loss": "quantile", "quantile": 0.9}), ("visits", "poisson", {"loss": "poisson"}),
        ("sold", "log", {}), ("sold", "hinge", {"loss": "hinge"}), ("sold", "squared-hinge", {"loss": "squared-hinge"}),
        ("band", "softmax", {}), ("band", "log", {"loss": "log"}),
    ],
)  # fmt: skip
def test_every_loss_beats_its_constant_on_rows_held_out(target: str, loss: str, settings: dict[str, Any]) -> None:
    run = fit(only(target), target, **settings)
    assert run.verdict is Verdict.CONVERGED
    assert run.resolved["loss"] == loss
    assert run.holdout["loss"] < run.baseline["loss"]
    assert run.train["loss"] < run.objective_at_start
    assert run.data.train_rows + run.data.holdout_rows == ROWS
    assert run.gap <= run.spec.tolerance


def test_the_record_tells_the_whole_story() -> None:
    seen: list[StepRecord] = []
    told: list[str] = []
    run = fit(only("band"), "band", watch=seen.append, tell=lambda name, _: told.append(name))
    assert tuple(seen) == run.steps
    assert told[0] == "data"
    assert set(run.seconds) == {"read", "choose", "descend", "compile", "total"}
    assert run.seconds["total"] >= run.seconds["read"]
    strengths = [each.strength for each in run.coefficients]
    assert strengths == sorted(strengths, reverse=True)
    assert {each.output for each in run.coefficients} <= {"low", "mid", "high"}
    assert run.coefficients[0].feature == "area"
    assert run.curvature.condition_before > run.curvature.condition_after
    assert run.environment["threads"] >= 1


def test_coefficients_are_in_original_units() -> None:
    run = fit(only("price"), "price", holdout=0.0, tolerance=1e-10)
    values = {each.feature: each.value for each in run.coefficients}
    peer = LinearRegression().fit(dense(only("price")), only("price")["price"])
    assert values["area"] == pytest.approx(peer.coef_[0], rel=1e-6)
    assert values["age"] == pytest.approx(peer.coef_[1], rel=1e-6)
    assert values["kind=villa"] - values["kind=house"] == pytest.approx(peer.coef_[3] - peer.coef_[2], rel=1e-6)


def test_a_saved_run_predicts_what_it_did(tmp_path: Path) -> None:
    table = only("band")
    run = fit(table, "band", runs=tmp_path)
    assert run.path is not None
    again = load(run.run, tmp_path)
    assert again.verdict is run.verdict
    first, later = predict(run, table), predict(run.run, table, runs=tmp_path)
    assert first.equals(later)


def test_predictions_stand_next_to_the_rows_and_take_no_name_twice() -> None:
    run = fit(only("price"), "price")
    table = pa.table(dict(only("price"), prediction=np.zeros(ROWS)))
    result = predict(run, table)
    assert result.column_names == [*table.column_names, "prediction_"]
    assert result.column("prediction").to_pylist() == [0.0] * ROWS
    with pytest.raises(ColumnError, match="needs the column"):
        predict(run, {"area": [1.0]})


def test_a_run_without_a_model_cannot_predict(flights_run: Any) -> None:
    with pytest.raises(RunError, match="holds no model to predict with"):
        predict(flights_run, only())


def test_a_csv_and_the_table_it_holds_give_the_same_run(tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "houses.csv"
    pd.DataFrame(only("price")).to_csv(path, index=False)
    from_file, from_memory = fit(path, "price"), fit(only("price"), "price")
    assert from_file.objective == pytest.approx(from_memory.objective, rel=1e-9)
    assert from_file.spec.source == str(path)


def test_divergence_is_a_result() -> None:
    run = fit(only("price"), "price", method="full-batch", learning_rate=100.0)
    assert run.verdict is Verdict.DIVERGED
    assert any("limit" in each.title or "limit" in each.evidence for each in run.findings)


def test_a_spec_and_settings_say_the_same() -> None:
    one = fit(only("price"), "price", l2=0.5)
    other = fit(only("price"), spec=Spec(target="price", l2=0.5))
    assert one.objective == other.objective
    with pytest.raises(OptionError, match="nearest"):
        fit(only("price"), "price", learning_rte=0.5)


@pytest.mark.parametrize("target", ["price", "sold", "band"])
def test_a_race_runs_every_method_from_the_same_start(target: str) -> None:
    result = race(only(target), target, seeds=2, epochs=10)
    assert [each.name for each in result.entries] == ["full-batch", "stochastic", "mini-batch", "scaled"]
    by_method = {each.name: each for each in result.entries}
    assert by_method["scaled"].gap == min(each.gap for each in result.entries)
    assert by_method["stochastic"].seeds == by_method["mini-batch"].seeds == 2
    assert by_method["stochastic"].updates == 10 * result.rows
    assert by_method["full-batch"].batch_size == result.rows
    for entry in result.entries:
        assert 0 <= entry.gap < 1
        for reached in (*entry.at_equal_updates, *entry.at_equal_examples, *entry.at_equal_seconds):
            assert math.isnan(reached.gap) or reached.gap >= 0
    assert result.minimum < result.objective_at_start
    # One example a step makes far more of an equal number of examples than one step a pass.
    assert by_method["stochastic"].at_equal_examples[-1].gap < by_method["full-batch"].at_equal_examples[-1].gap


def test_checkpoints_stand_at_round_numbers_and_at_the_end() -> None:
    assert checkpoints(1) == [1]
    assert checkpoints(60) == [1, 2, 5, 10, 20, 50, 60]
    assert checkpoints(100) == [1, 2, 5, 10, 20, 50, 100]


@pytest.mark.parametrize("target", ["price", "sold", "band"])
def test_a_sweep_maps_too_slow_the_sweet_spot_and_divergence(target: str) -> None:
    result = sweep(only(target), target, batch_sizes=[8, 32])
    assert result.batch_sizes == (8, 32)
    assert len(result.cells) == 2 * len(result.learning_rates)
    best = result.best
    assert best is not None
    assert best.zone is Zone.SWEET_SPOT
    assert best.gap == min(each.gap for each in result.cells if each.verdict is not Verdict.DIVERGED)
    for size in result.batch_sizes:
        row = [each for each in result.cells if each.batch_size == size]
        assert [each.learning_rate for each in row] == sorted(each.learning_rate for each in row)
        zones = [each.zone for each in row]
        assert zones[0] is Zone.TOO_SLOW
        assert Zone.SWEET_SPOT in zones
        assert all(each.zone is Zone.DIVERGED for each in row if each.verdict is Verdict.DIVERGED)
    if target == "price":
        steepest = max(result.cells, key=lambda each: each.learning_rate)
        assert steepest.verdict is Verdict.DIVERGED


def test_a_sweep_runs_the_pairs_that_it_is_given() -> None:
    result = sweep(only("sold"), "sold", learning_rates=[0.1, 0.01], batch_sizes=[10, 30], epochs=2)
    assert result.learning_rates == (0.01, 0.1)
    assert {(each.learning_rate, each.batch_size) for each in result.cells} == {
        (rate, size) for rate in (0.01, 0.1) for size in (10, 30)
    }
    with pytest.raises(OptionError, match="whole multiples of the smallest, 8; 12 is not"):
        sweep(only("sold"), "sold", batch_sizes=[8, 12])


def judged(target: np.ndarray, weights: np.ndarray | None = None) -> Examples:
    rows = target.size
    return Examples(
        (Block(0, np.zeros((rows, 0)), np.zeros((rows, 0), np.int32)),),
        0,
        target,
        weights,
        np.empty(0),
        np.empty(0),
        True,
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_scikit_learn(weighted: bool) -> None:
    drawn = np.random.default_rng(0)
    weights = drawn.random(200) + 0.1 if weighted else None
    number, score = drawn.standard_normal(200), drawn.standard_normal((200, 1))
    found = scores_of(judged(number, weights), Objective(Squared(), 0, 0, True), score, 0)
    assert found["r2"] == pytest.approx(r2_score(number, score[:, 0], sample_weight=weights))
    assert found["rmse"] ** 2 == pytest.approx(np.average((number - score[:, 0]) ** 2, weights=weights))
    assert found["mae"] == pytest.approx(np.average(np.abs(number - score[:, 0]), weights=weights))
    classes = drawn.integers(0, 3, 200).astype(float)
    several = drawn.standard_normal((200, 3))
    found = scores_of(judged(classes, weights), Objective(Softmax(), 0, 0, True, 3), several, 3)
    chosen = several.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(np.average(chosen == classes, weights=weights))
    expected = balanced_accuracy_score(classes, chosen, sample_weight=weights)
    assert found["balanced_accuracy"] == pytest.approx(expected)
    two = (classes > 0).astype(float)
    found = scores_of(judged(two, weights), Objective(Log(), 0, 0, True), score, 2)
    assert found["auc"] == pytest.approx(roc_auc_score(two, score[:, 0], sample_weight=weights))
    counts = drawn.poisson(2.0, 200).astype(float)
    found = scores_of(judged(counts, weights), Objective(Poisson(), 0, 0, True), score, 0)
    from sklearn.metrics import mean_poisson_deviance

    deviance = mean_poisson_deviance(counts, np.exp(score[:, 0]), sample_weight=weights)
    assert found["deviance"] == pytest.approx(deviance)


def test_ties_count_half_in_the_area_under_the_curve() -> None:
    drawn = np.random.default_rng(1)
    score, target = drawn.integers(0, 5, 300).astype(float), (drawn.random(300) < 0.3).astype(float)
    assert area_under_roc(score, target, None) == pytest.approx(roc_auc_score(target, score))
    assert area_under_roc(np.zeros(300), target, None) == pytest.approx(0.5)
    assert math.isnan(area_under_roc(score, np.ones(300), None))
