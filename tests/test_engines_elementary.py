from __future__ import annotations

import numpy as np
import pytest

from downslope.compiling import kernel
from downslope.engines.elementary import exp_single, log1p_single


@kernel
def exponentials(values, out):  # noqa: ANN001, ANN201
    for i in range(values.shape[0]):
        out[i] = exp_single(values[i])


@kernel
def logarithms(values, out):  # noqa: ANN001, ANN201
    for i in range(values.shape[0]):
        out[i] = log1p_single(values[i])


def applied(function, values: np.ndarray) -> np.ndarray:  # noqa: ANN001
    out = np.empty_like(values)
    function(values, out)
    return out


def test_exponential_is_accurate_to_single_precision_over_its_whole_range() -> None:
    x = np.concatenate([np.linspace(-87, 88, 200_001), np.geomspace(1e-30, 1, 20_001), -np.geomspace(1e-30, 1, 20_001)])
    x = x.astype(np.float32)
    truth = np.exp(x.astype(np.float64))
    relative = np.abs(applied(exponentials, x) - truth) / truth
    assert relative.max() <= 2.5 * 2.0**-24 * 2


def test_exponential_grows_with_its_argument() -> None:
    x = np.linspace(-20, 20, 100_001).astype(np.float32)
    values = applied(exponentials, x)
    assert (np.diff(values) >= -2 * np.spacing(values[1:])).all()


def test_exponential_is_clipped_to_what_float32_holds() -> None:
    values = applied(exponentials, np.array([-1e30, -200.0, -88.0, 89.0, 1e30], np.float32))
    assert np.isfinite(values).all()
    assert (values[:3] <= 2e-38).all()
    assert (values[3:] > 1e38).all()


@pytest.mark.parametrize("function", [exponentials, logarithms])
def test_nan_stays_nan(function) -> None:  # noqa: ANN001
    assert np.isnan(applied(function, np.array([np.nan], np.float32)))[0]


def test_logarithm_is_accurate_to_single_precision_from_zero_to_one() -> None:
    e = np.concatenate([np.linspace(0, 1, 100_001), np.geomspace(1e-37, 1, 20_001)]).astype(np.float32)
    truth = np.log1p(e.astype(np.float64))
    values = applied(logarithms, e)
    assert values[0] == 0
    kept = truth > 0
    assert (np.abs(values - truth)[kept] / truth[kept]).max() <= 2.5 * 2.0**-24 * 2
