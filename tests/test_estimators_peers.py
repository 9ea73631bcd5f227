"""The estimators against scikit-learn's at the same objective, and weights against repeated rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
)
from sklearn.svm import LinearSVC
from sklearn.utils.class_weight import compute_sample_weight

from downslope import GradientDescentClassifier, GradientDescentRegressor
from downslope.errors import OptionError, WeightsError
from downslope.types import Matrix, Vector

PRECISE = 1e-11
"""A tolerance at which coefficients agree to far more digits than are compared."""


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


@pytest.fixture(scope="module")
def counts() -> tuple[Matrix, Vector]:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((400, 5))
    return features, rng.poisson(np.exp(0.4 * features[:, 0] - 0.3 * features[:, 1] + 1.0)).astype(np.float64)


@pytest.mark.parametrize("intercept", [True, False])
def test_squared_with_l2_is_ridge(diabetes: tuple[Matrix, Vector], intercept: bool) -> None:
    features, target = diabetes
    ours = GradientDescentRegressor(l2=0.3, standardize=False, fit_intercept=intercept)
    theirs = Ridge(alpha=0.3 * len(target) / 2, fit_intercept=intercept).fit(features, target)
    ours.fit(features, target)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7)
    assert ours.intercept_ == pytest.approx(theirs.intercept_)


def test_squared_without_a_penalty_is_least_squares(diabetes: tuple[Matrix, Vector]) -> None:
    features, target = diabetes
    ours = GradientDescentRegressor().fit(features * 1e3 + 7e4, target)
    theirs = LinearRegression().fit(features, target)
    np.testing.assert_allclose(ours.coef_ * 1e3, theirs.coef_, rtol=1e-7)


def test_fewer_rows_than_columns_give_the_least_norm() -> None:
    rng = np.random.default_rng(0)
    features, target = rng.standard_normal((12, 30)), rng.standard_normal(12)
    size = np.sqrt((features**2).mean(axis=0))
    ours = GradientDescentRegressor(fit_intercept=False).fit(features, target)
    np.testing.assert_allclose(ours.coef_ * size, np.linalg.pinv(features / size) @ target, atol=1e-9)


def test_squared_with_l1_is_lasso(diabetes: tuple[Matrix, Vector]) -> None:
    features, target = diabetes
    ours = GradientDescentRegressor(l1=4.0, standardize=False, tolerance=PRECISE).fit(features, target)
    theirs = Lasso(alpha=2.0, tol=1e-12, max_iter=100_000).fit(features, target)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5 * np.abs(theirs.coef_).max())
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
    assert (ours.coef_ == 0).any()


def test_both_penalties_are_the_elastic_net(diabetes: tuple[Matrix, Vector]) -> None:
    features, target = diabetes
    ours = GradientDescentRegressor(l1=2.0, l2=0.5, standardize=False, tolerance=PRECISE).fit(features, target)
    theirs = ElasticNet(alpha=1.25, l1_ratio=0.8, tol=1e-12, max_iter=100_000).fit(features, target)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5 * np.abs(theirs.coef_).max())


def test_log_is_logistic_regression(cancer: tuple[Matrix, Vector]) -> None:
    features, target = cancer
    ours = GradientDescentClassifier(l2=0.01, standardize=False, tolerance=PRECISE).fit(features, target)
    theirs = LogisticRegression(C=100 / len(target), tol=1e-12, max_iter=10_000).fit(features, target)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(features), theirs.predict_proba(features), atol=1e-5)


def test_log_with_three_classes_is_multinomial_logistic_regression() -> None:
    features, target = load_iris(return_X_y=True)
    ours = GradientDescentClassifier(l2=0.02, standardize=False, tolerance=PRECISE).fit(features, target)
    theirs = LogisticRegression(C=50 / len(target), tol=1e-12, max_iter=10_000).fit(features, target)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_ - theirs.intercept_.mean(), atol=1e-4)
    np.testing.assert_allclose(ours.predict_log_proba(features), theirs.predict_log_proba(features), atol=1e-4)


def test_log_with_l1_fulfils_the_conditions_of_its_minimum(cancer: tuple[Matrix, Vector]) -> None:
    features, target = cancer
    ours = GradientDescentClassifier(l1=0.02, l2=0.0, standardize=False, tolerance=1e-8).fit(features, target)
    weights, chance = ours.coef_[0], ours.predict_proba(features)[:, 1]
    gradient = features.T @ (chance - target) / len(target)
    assert abs((chance - target).mean()) < 1e-5
    assert (np.abs(gradient[weights == 0]) <= 0.02 + 1e-5).all()
    np.testing.assert_allclose(gradient[weights != 0], -0.02 * np.sign(weights[weights != 0]), atol=1e-5)
    assert 0 < (weights == 0).sum() < weights.size


def test_poisson_is_poisson_regression(counts: tuple[Matrix, Vector]) -> None:
    features, target = counts
    ours = GradientDescentRegressor(loss="poisson", l2=0.05, standardize=False, tolerance=PRECISE)
    ours.fit(features, target)
    theirs = PoissonRegressor(alpha=0.05, tol=1e-10, max_iter=10_000).fit(features, target)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.predict(features), theirs.predict(features), rtol=1e-5)
    np.testing.assert_allclose(ours.predict(features), np.exp(features @ ours.coef_ + ours.intercept_))


@pytest.mark.parametrize("quantile", [0.5, 0.8])
def test_quantile_with_l1_is_quantile_regression(diabetes: tuple[Matrix, Vector], quantile: float) -> None:
    features, target = diabetes
    ours = GradientDescentRegressor(
        loss="quantile", quantile=quantile, l1=0.5, l2=0.0, standardize=False, tolerance=1e-7
    ).fit(features, target)
    theirs = QuantileRegressor(quantile=quantile, alpha=0.5).fit(features, target)

    def objective(coefficients: Vector, intercept: float) -> float:
        residual = target - features @ coefficients - intercept
        pinball = np.where(residual > 0, quantile * residual, (quantile - 1) * residual)
        return float(pinball.mean() + 0.5 * np.abs(coefficients).sum())

    lowest = objective(theirs.coef_, theirs.intercept_)
    assert objective(ours.coef_, ours.intercept_) == pytest.approx(lowest, rel=1e-5)


def test_half_quantile_is_half_the_absolute_loss(diabetes: tuple[Matrix, Vector]) -> None:
    features, target = diabetes
    half = GradientDescentRegressor(loss="quantile", l2=0.01, tolerance=1e-8).fit(features, target)
    whole = GradientDescentRegressor(loss="absolute", l2=0.02, tolerance=1e-8).fit(features, target)
    assert whole.run_.objective == pytest.approx(2 * half.run_.objective, rel=1e-6)


@pytest.mark.parametrize("name", ["hinge", "squared-hinge"])
def test_hinges_are_the_linear_support_vector_machine(cancer: tuple[Matrix, Vector], name: str) -> None:
    features, target = cancer
    ours = GradientDescentClassifier(loss=name, l2=0.05, standardize=False, fit_intercept=False, tolerance=1e-9)
    ours.fit(features, target)
    theirs = LinearSVC(
        loss=name.replace("-", "_"), C=20 / len(target), fit_intercept=False, tol=1e-9, max_iter=1_000_000, dual=True
    ).fit(features, target)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3 * np.abs(theirs.coef_).max())


def test_huber_beyond_every_residual_is_half_of_squared(diabetes: tuple[Matrix, Vector]) -> None:
    features, target = diabetes
    huber = GradientDescentRegressor(loss="huber", huber_delta=1e6, l2=0.1, tolerance=PRECISE).fit(features, target)
    squared = GradientDescentRegressor(l2=0.2, tolerance=PRECISE).fit(features, target)
    np.testing.assert_allclose(huber.coef_, squared.coef_, rtol=1e-6)


def test_the_penalty_acts_on_standardised_coefficients(diabetes: tuple[Matrix, Vector]) -> None:
    features, target = diabetes
    raw = features * np.logspace(-3, 4, features.shape[1]) + 5.0
    plain = GradientDescentRegressor(l2=0.3, standardize=False, tolerance=PRECISE).fit(features, target)
    scaled = GradientDescentRegressor(l2=0.3, tolerance=PRECISE).fit(raw, target)
    np.testing.assert_allclose(scaled.predict(raw), plain.predict(features), rtol=1e-7)


def test_class_weights_are_sample_weights(cancer: tuple[Matrix, Vector]) -> None:
    features, target = cancer
    given = {0: 3.0, 1: 0.5}
    by_class = GradientDescentClassifier(class_weight=given, l2=0.01).fit(features, target)
    by_row = GradientDescentClassifier(l2=0.01).fit(features, target, np.where(target == 0, 3.0, 0.5))
    np.testing.assert_array_equal(by_class.coef_, by_row.coef_)


def test_balanced_classes_weigh_the_same() -> None:
    features, target = load_iris(return_X_y=True)
    features, target = features[:120], target[:120]  # 50, 50 and 20 of each class
    balanced = GradientDescentClassifier(class_weight="balanced", l2=0.01).fit(features, target)
    by_row = GradientDescentClassifier(l2=0.01).fit(features, target, compute_sample_weight("balanced", target))
    np.testing.assert_allclose(balanced.coef_, by_row.coef_, rtol=1e-9)


def test_an_unknown_class_weight_is_refused(cancer: tuple[Matrix, Vector]) -> None:
    with pytest.raises(OptionError, match="class_weight names the class 'cat', which y does not hold"):
        GradientDescentClassifier(class_weight={"cat": 2.0}).fit(*cancer)


@pytest.mark.parametrize("loss", ["squared", "huber", "absolute", "poisson"])
def test_a_weight_of_two_is_the_row_twice(counts: tuple[Matrix, Vector], loss: str) -> None:
    features, target = counts
    weights = np.random.default_rng(1).integers(0, 3, len(target))
    model = GradientDescentRegressor(loss=loss, l2=0.1, tolerance=1e-9, huber_delta=1.5)
    weighted = clone(model).fit(features, target, weights)
    repeated = clone(model).fit(features.repeat(weights, axis=0), target.repeat(weights))
    assert weighted.run_.objective == pytest.approx(repeated.run_.objective, rel=1e-6)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-3)


@pytest.mark.parametrize(
    ("weights", "expected"), [(-1.0, "negative in row 0"), (0.0, "(zero in every row|at least one non-zero)")]
)
def test_weights_that_say_nothing_are_refused(diabetes: tuple[Matrix, Vector], weights: float, expected: str) -> None:
    features, target = diabetes
    with pytest.raises((WeightsError, ValueError), match=expected):
        GradientDescentRegressor().fit(features, target, np.full(len(target), weights))
