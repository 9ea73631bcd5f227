"""The scikit-learn face: its checks, its settings, and what it keeps of a training."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from downslope import GradientDescentClassifier, GradientDescentRegressor, Run, Verdict
from downslope.errors import OptionError, TargetError
from downslope.estimators.parameters import SPEC_NAMES
from downslope.records.spec import settings
from downslope.types import Matrix, Vector

EITHER = [GradientDescentRegressor, GradientDescentClassifier]


def standardised(features: Matrix) -> Matrix:
    return (features - features.mean(axis=0)) / features.std(axis=0)


@pytest.fixture(scope="module")
def diabetes() -> tuple[Matrix, Vector]:
    features, target = load_diabetes(return_X_y=True)
    return standardised(features), target


@pytest.fixture(scope="module")
def cancer() -> tuple[Matrix, Vector]:
    features, target = load_breast_cancer(return_X_y=True)
    return standardised(features), target


# scikit-learn's own judgement. Nothing is marked as expected to fail.


@parametrize_with_checks(
    [
        GradientDescentRegressor(),
        GradientDescentClassifier(),
        GradientDescentRegressor(l1=0.01),
        GradientDescentClassifier(l1=0.01),
        GradientDescentRegressor(standardize=False),
    ]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks(
    [
        GradientDescentRegressor(loss="huber", tolerance=0.0),
        GradientDescentRegressor(loss="absolute", tolerance=0.0),
        GradientDescentRegressor(loss="poisson", tolerance=0.0),
        GradientDescentClassifier(loss="hinge", tolerance=0.0),
        GradientDescentClassifier(loss="squared-hinge", tolerance=0.0),
        GradientDescentClassifier(method="full-batch", rule="momentum", max_passes=3000),
    ]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_checks_of_other_losses_and_rules(estimator: Any, check: Any) -> None:
    check(estimator)  # one of them compares to seven digits, hence no tolerance


@parametrize_with_checks(
    [GradientDescentRegressor(method="mini-batch"), GradientDescentClassifier(method="mini-batch")]
)
def test_scikit_learn_checks_of_batches(estimator: Any, check: Any) -> None:
    if getattr(check, "func", check).__name__.startswith("check_sample_weight_equivalence_on_"):
        return  # batches of repeated rows are other batches than batches of weighted rows, as in any such trainer
    check(estimator)


# Targets and predictions.


@pytest.mark.parametrize(
    "names", [np.array(["no", "yes"]), np.array([False, True]), np.array([-1, 1]), np.array([2.0, 7.0])]
)
def test_classes_keep_their_names(cancer: tuple[Matrix, Vector], names: Any) -> None:
    features, target = cancer
    model = GradientDescentClassifier().fit(features, names[target])
    np.testing.assert_array_equal(model.classes_, names)
    assert model.predict(features).dtype == names.dtype
    assert model.score(features, names[target]) > 0.97
    assert model.run_.data.classes == tuple(str(name) for name in names)


@pytest.mark.parametrize("loss", ["log", "softmax", "hinge", "squared-hinge"])
def test_scores_are_in_original_units(loss: str) -> None:
    features, target = load_iris(return_X_y=True)
    model = GradientDescentClassifier(loss=loss, tolerance=1e-3).fit(features, target)
    scores = features @ model.coef_.T + model.intercept_
    assert model.coef_.shape == (3, 4)
    assert model.intercept_.shape == (3,)
    np.testing.assert_allclose(model.decision_function(features), scores, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(features), scores.argmax(axis=1))


def test_probabilities_are_the_softmax_of_the_scores() -> None:
    features, target = load_iris(return_X_y=True)
    model = GradientDescentClassifier().fit(features, target)
    exponentials = np.exp(model.decision_function(features))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(features), expected)
    np.testing.assert_allclose(model.predict_log_proba(features), np.log(expected))


def test_log_probabilities_do_not_underflow(cancer: tuple[Matrix, Vector]) -> None:
    model = GradientDescentClassifier().fit(*cancer)
    far = 1e4 * model.coef_
    assert np.isfinite(model.predict_log_proba(far)).all()
    assert model.predict_log_proba(far).min() < -1000


def test_a_hinge_has_no_probabilities(cancer: tuple[Matrix, Vector]) -> None:
    model = GradientDescentClassifier(loss="hinge").fit(*cancer)
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")


def test_softmax_of_two_classes_is_log(cancer: tuple[Matrix, Vector]) -> None:
    softmax = GradientDescentClassifier(loss="softmax").fit(*cancer)
    log = GradientDescentClassifier(loss="log").fit(*cancer)
    np.testing.assert_array_equal(softmax.coef_, log.coef_)
    assert softmax.coef_.shape == (1, 30)


@pytest.mark.parametrize(
    ("target", "expected"),
    [([0.0, -2.0, 1.0], r"poisson loss needs targets of 0 or more, but y is -2 in row 1"), ([0, 0, 0], "above 0")],
)
def test_poisson_refuses_what_is_no_count(target: list[float], expected: str) -> None:
    with pytest.raises(TargetError, match=expected):
        GradientDescentRegressor(loss="poisson").fit([[0.0], [1.0], [2.0]], target)


# Settings.


@pytest.mark.parametrize("kind", EITHER)
def test_defaults_are_those_of_the_one_table_of_settings(kind: Any) -> None:
    table = settings()
    for name, parameter in inspect.signature(kind).parameters.items():
        setting = SPEC_NAMES.get(name, {"huber_delta": "huber_delta", "quantile": "quantile"}.get(name))
        if setting is not None:
            assert parameter.default == table[setting][0], name
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("kind", EITHER)
@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": "log-loss"}, {"method": "newton"}, {"rule": "sgd"}, {"learning_rate": 0}, {"learning_rate": "fast"},
        {"batch_size": 0}, {"batch_size": 1.5}, {"l1": -1}, {"l2": -1e-9}, {"tolerance": 1.0}, {"max_passes": 0},
        {"fit_intercept": "yes"}, {"momentum": 1.0}, {"average": "always"}, {"schedule": "none"}, {"warm_start": 2},
    ],
)  # fmt: skip
def test_a_parameter_out_of_range_is_named(kind: Any, wrong: dict[str, Any], cancer: tuple[Matrix, Vector]) -> None:
    with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' parameter of {kind.__name__}"):
        kind(**wrong).fit(*cancer)


def test_the_spec_accepts_what_the_estimator_accepts(cancer: tuple[Matrix, Vector]) -> None:
    model = GradientDescentClassifier(method="mini-batch", batch_size=16, learning_rate=0.1, max_passes=1.5, l1=1)
    spec = model.fit(*cancer).run_.spec
    assert (spec.method, spec.batch_size, spec.learning_rate, spec.epochs, spec.l1) == ("mini-batch", 16, 0.1, 1.5, 1)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ({"method": "scaled", "learning_rate": 0.1}, "learning-rate do not apply"),
        ({"method": "stochastic", "batch_size": 8}, "batch-size applies to mini-batch"),
    ],
)
def test_parameters_that_exclude_each_other_are_refused(
    pair: dict[str, Any], expected: str, cancer: tuple[Matrix, Vector]
) -> None:
    with pytest.raises(OptionError, match=expected):
        GradientDescentClassifier(**pair).fit(*cancer)


# The run.


def test_the_run_is_the_record_of_the_training(cancer: tuple[Matrix, Vector]) -> None:
    features, target = cancer
    run = GradientDescentClassifier(l2=0.01).fit(features, target).run_
    assert isinstance(run, Run)
    assert run.verdict is Verdict.CONVERGED
    assert run.gap_kind == "certified"
    assert 0 <= run.gap <= run.spec.tolerance
    assert run.steps[0].objective > run.objective
    assert run.setting("method") == "scaled"
    assert {choice.name for choice in run.choices} == {"method", "learning_rate"}
    assert run.curvature.largest > run.curvature.smallest > 0
    assert run.data.rows == len(target)
    assert run.objective_at_start == pytest.approx(np.log(2))


def test_there_is_no_run_before_a_fit() -> None:
    assert not hasattr(GradientDescentRegressor(), "run_")
    with pytest.raises(NotFittedError):
        GradientDescentRegressor().predict([[1.0]])


def test_columns_keep_their_names_and_constants_are_left_out(diabetes: tuple[Matrix, Vector]) -> None:
    import pandas as pd

    features, target = diabetes
    frame = pd.DataFrame({"age": features[:, 0], "never changes": 4.2, "weight": features[:, 2]})
    model = GradientDescentRegressor().fit(frame, target)
    np.testing.assert_array_equal(model.feature_names_in_, ["age", "never changes", "weight"])
    assert model.coef_[1] == 0
    assert {each.feature for each in model.run_.coefficients} == {"age", "weight"}
    left_out = next(finding for finding in model.run_.findings if finding.code == "DS304")
    assert "never changes" in left_out.evidence
    reference = LinearRegression().fit(frame[["age", "weight"]], target)
    np.testing.assert_allclose(model.predict(frame), reference.predict(frame[["age", "weight"]]))


def test_a_divergence_warns_and_leaves_finite_weights(diabetes: tuple[Matrix, Vector]) -> None:
    model = GradientDescentRegressor(method="full-batch", learning_rate=10.0)
    with pytest.warns(ConvergenceWarning, match="diverged at step"):
        model.fit(*diabetes)
    assert model.run_.verdict is Verdict.DIVERGED
    assert np.isfinite(model.coef_).all()


def test_a_budget_that_ends_first_warns(cancer: tuple[Matrix, Vector]) -> None:
    model = GradientDescentClassifier(method="full-batch", max_passes=3, tolerance=1e-9)
    with pytest.warns(ConvergenceWarning, match="budget spent"):
        model.fit(*cancer)
    assert model.run_.verdict is Verdict.BUDGET


def test_an_interrupted_fit_keeps_what_it_has(cancer: tuple[Matrix, Vector]) -> None:
    class Impatient(GradientDescentClassifier):
        def _watch(self) -> Any:
            def tell(step: Any) -> None:
                if step.update == 2:
                    raise KeyboardInterrupt

            return tell

    model = Impatient(method="full-batch")
    with pytest.raises(KeyboardInterrupt):
        model.fit(*cancer)
    assert model.run_.verdict is Verdict.STOPPED
    assert model.score(*cancer) > 0.8


def test_verbose_prints_each_step(cancer: tuple[Matrix, Vector], capsys: pytest.CaptureFixture[str]) -> None:
    model = GradientDescentClassifier(verbose=1).fit(*cancer)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(model.run_.steps)
    assert lines[0].startswith("update 0, ")
    assert "certified gap" in lines[-1]


def test_a_pickled_estimator_predicts_the_same(cancer: tuple[Matrix, Vector]) -> None:
    model = GradientDescentClassifier().fit(*cancer)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(cancer[0]), model.predict_proba(cancer[0]))
    assert again.run_.message == model.run_.message


# The same seed, the same bits; a start where the last fit ended.


@pytest.mark.parametrize("method", ["scaled", "full-batch", "mini-batch", "stochastic"])
def test_the_same_seed_gives_the_same_bits(cancer: tuple[Matrix, Vector], method: str) -> None:
    settings: dict[str, Any] = {"method": method, "tolerance": 1e-3}
    if method in ("mini-batch", "stochastic"):
        settings |= {"max_passes": 3, "learning_rate": 0.02}
    first, again = (GradientDescentClassifier(**settings, random_state=5).fit(*cancer) for _ in range(2))
    assert first.coef_.tobytes() == again.coef_.tobytes()
    assert first.intercept_.tobytes() == again.intercept_.tobytes()
    if method in ("mini-batch", "stochastic"):
        other = GradientDescentClassifier(**settings, random_state=6).fit(*cancer)
        assert other.coef_.tobytes() != first.coef_.tobytes()


def test_a_warm_start_begins_at_the_last_minimum(cancer: tuple[Matrix, Vector]) -> None:
    model = GradientDescentClassifier(l2=0.01, warm_start=True, tolerance=1e-6).fit(*cancer)
    assert model.n_iter_ > 1
    before = model.coef_.copy()
    model.fit(*cancer)
    assert model.n_iter_ <= 1
    np.testing.assert_allclose(model.coef_, before, rtol=1e-3, atol=1e-4)
    cold = clone(model).set_params(warm_start=False).fit(*cancer)
    assert cold.n_iter_ > 1


def test_a_warm_start_with_other_classes_begins_anew() -> None:
    features, target = load_iris(return_X_y=True)
    model = GradientDescentClassifier(warm_start=True).fit(features, target)
    model.fit(features[:100], target[:100])
    assert model.coef_.shape == (1, 4)
    cold = GradientDescentClassifier().fit(features[:100], target[:100])
    np.testing.assert_array_equal(model.coef_, cold.coef_)


@pytest.mark.parametrize("loss", ["log", "hinge", "squared-hinge"])
def test_mini_batches_come_near_the_minimum(cancer: tuple[Matrix, Vector], loss: str) -> None:
    features, target = cancer
    exact = GradientDescentClassifier(loss=loss, l2=0.01, tolerance=1e-6).fit(features, target).run_
    batches = GradientDescentClassifier(loss=loss, l2=0.01, method="mini-batch").fit(features, target)
    gap = (batches.run_.objective - exact.objective) / (exact.objective_at_start - exact.objective)
    assert gap < 0.02
    assert batches.score(features, target) > 0.97
