"""The grammar of models, their starts, and layers held to plain NumPy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.errors import OptionError
from downslope.models.network import Architecture, parse_model
from downslope.models.network.layers import ACTIVATIONS, Batch, Convolution, Normalisation, build_network, pooled
from downslope.models.network.model import NetworkModel, arrays_of, with_arrays
from downslope.models.network.starts import starting_weights
from downslope.records.spec import ACTIVATIONS as NAMES
from downslope.records.spec import STARTS

DRAW = np.random.default_rng(0)
KEY = jax.random.PRNGKey(3)
SIZES = st.lists(st.integers(1, 500), min_size=1, max_size=4)


@given(SIZES)
def test_an_mlp_reads_back(hidden: list[int]) -> None:
    text = "mlp:" + ",".join(map(str, hidden))
    assert parse_model(text).hidden == tuple(hidden)
    assert parse_model(text).text == text


@given(SIZES, SIZES)
def test_a_cnn_reads_back(channels: list[int], hidden: list[int]) -> None:
    text = f"cnn:{','.join(map(str, channels))}/{','.join(map(str, hidden))}"
    found = parse_model(text)
    assert (found.channels, found.hidden, found.text) == (tuple(channels), tuple(hidden), text)


@pytest.mark.parametrize(
    ("text", "channels", "hidden"),
    [("linear", (), ()), ("mlp", (), (64,)), ("cnn", (16, 32), (128,)), ("cnn:8", (8,), ())],
)
def test_short_forms(text: str, channels: tuple[int, ...], hidden: tuple[int, ...]) -> None:
    assert (parse_model(text).channels, parse_model(text).hidden) == (channels, hidden)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("mlp:64,,32", "mlp:64,>,32"),
        ("mlp:64,x", "mlp:64,>x"),
        ("mlp:", "mlp:>"),
        ("mlp:0", "mlp:>0"),
        ("mlp:-3", "mlp:>-3"),
        ("mlp:64/32", "mlp:64>/32"),
        ("cnn:16,32/", "cnn:16,32/>"),
        ("cnn:/64", "cnn:>/64"),
        ("linear:3", "linear>:3"),
    ],
)
def test_what_does_not_parse_is_shown(text: str, place: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_model(text)
    assert f'"{place}"' in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_model_is_told_the_nearest() -> None:
    with pytest.raises(OptionError, match="mlp"):
        parse_model("mpl:64")


@given(st.sampled_from(NAMES), st.sampled_from(STARTS), st.floats(0, 0.9))
def test_an_architecture_survives_json(activation: str, start: str, dropout: float) -> None:
    found = parse_model("cnn:4/5", activation, "layer", dropout, start)
    assert Architecture.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("start", "deviation"),
    [("he", np.sqrt(2 / 400)), ("lecun", np.sqrt(1 / 400)), ("glorot", np.sqrt(2 / 500)), ("normal", 0.05)],
)
def test_starts_have_their_deviation(start: str, deviation: float) -> None:
    weights = np.asarray(starting_weights(start, DRAW, (400, 100)))
    assert weights.std() == pytest.approx(deviation, rel=0.02)
    assert abs(weights.mean()) < 0.02 * deviation


def test_starts_without_spread() -> None:
    assert not np.asarray(starting_weights("zeros", DRAW, (4, 3))).any()
    assert (np.asarray(starting_weights("constant", DRAW, (4, 3))) == np.float32(0.1)).all()
    square = np.asarray(starting_weights("orthogonal", DRAW, (6, 6)))
    np.testing.assert_allclose(square @ square.T, np.eye(6), atol=1e-5)
    assert np.abs(np.asarray(starting_weights("uniform", DRAW, (400, 100)))).max() <= 0.05


ORACLES: dict[str, Any] = {
    "linear": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky-relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
}


@pytest.mark.parametrize("name", NAMES)
def test_activations(name: str) -> None:
    x = np.linspace(-4, 4, 41, dtype=np.float32)
    np.testing.assert_allclose(np.asarray(ACTIVATIONS[name](jnp.asarray(x))), ORACLES[name](x), atol=2e-6)


def test_a_convolution_by_patches_is_the_convolution_of_the_library() -> None:
    images = jax.random.normal(KEY, (3, 7, 5, 2))
    weight = jax.random.normal(jax.random.PRNGKey(1), (9 * 2, 4))
    mine = Convolution(weight, jnp.zeros(4))(images)
    kernels = weight.reshape(3, 3, 2, 4)
    theirs = jax.lax.conv_general_dilated(images, kernels, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), atol=1e-4)


def test_pooling_takes_the_largest_of_four() -> None:
    images = np.asarray(jax.random.normal(KEY, (2, 5, 6, 3)))
    whole = images[:, :4, :6].reshape(2, 2, 2, 3, 2, 3).max(axis=(2, 4))
    np.testing.assert_array_equal(np.asarray(pooled(jnp.asarray(images))), whole)


def test_codes_are_one_hot_columns_that_are_never_written_out() -> None:
    network = build_network(parse_model("mlp:6"), (5,), 2, KEY)
    numbers = np.random.default_rng(0).standard_normal((9, 2)).astype(np.float32)
    codes = np.random.default_rng(1).integers(0, 3, (9, 1)).astype(np.int32)
    written = np.hstack([numbers, np.eye(3, dtype=np.float32)[codes[:, 0]]])
    by_code = network(Batch(jnp.asarray(numbers), jnp.asarray(codes)))[0]
    by_column = network(Batch(jnp.asarray(written), jnp.zeros((9, 0), jnp.int32)))[0]
    np.testing.assert_allclose(np.asarray(by_code), np.asarray(by_column), atol=1e-5)


@pytest.mark.parametrize("over", ["batch", "layer"])
def test_normalisation_brings_to_mean_zero_and_deviation_one(over: str) -> None:
    x = 3 + 2 * jax.random.normal(KEY, (64, 32))
    layer = Normalisation(jnp.ones(32), jnp.zeros(32), over)
    out, seen = layer(x, (jnp.zeros(32), jnp.ones(32)), True, None)
    axis = 0 if over == "batch" else 1
    np.testing.assert_allclose(np.asarray(out).mean(axis=axis), 0, atol=1e-5)
    np.testing.assert_allclose(np.asarray(out).std(axis=axis), 1, atol=1e-3)
    if over == "batch":
        np.testing.assert_allclose(np.asarray(seen[0]), 0.1 * np.asarray(x).mean(axis=0), rtol=1e-4)


def test_rows_that_pad_a_batch_do_not_count_in_its_normalisation() -> None:
    x = jax.random.normal(KEY, (8, 4))
    layer = Normalisation(jnp.ones(4), jnp.zeros(4), "batch")
    counted = jnp.asarray([1.0] * 5 + [0.0] * 3)
    start = (jnp.zeros(4), jnp.ones(4))
    padded, seen = layer(x, start, True, counted)
    alone, seen_alone = layer(x[:5], start, True, None)
    np.testing.assert_allclose(np.asarray(padded[:5]), np.asarray(alone), atol=1e-5)
    np.testing.assert_allclose(np.asarray(seen[1]), np.asarray(seen_alone[1]), atol=1e-6)


def test_dropout_leaves_out_its_share_and_keeps_the_mean() -> None:
    network = build_network(parse_model("mlp:4000", dropout=0.25), (3,), 1, KEY)
    batch = Batch(jnp.ones((1, 3)), jnp.zeros((1, 0), jnp.int32))
    plain = float(network(batch)[0][0, 0])
    several = [float(network(batch, (), jax.random.PRNGKey(seed))[0][0, 0]) for seed in range(30)]
    assert len(set(several)) > 20
    assert np.mean(several) == pytest.approx(plain, abs=4 * np.std(several) / np.sqrt(30))


@pytest.mark.parametrize("normalisation", ["none", "batch", "layer"])
def test_a_saved_model_scores_as_before(normalisation: str) -> None:
    architecture = parse_model("mlp:7,5", normalisation=normalisation)
    network = build_network(architecture, (4,), 3, KEY)
    import equinox as eqx

    weights, _ = eqx.partition(network, eqx.is_inexact_array)
    model = NetworkModel(architecture, arrays_of(weights, network.statistics), (4,), "softmax", ("a", "b", "c"))
    again = NetworkModel.from_files(model.to_files())
    numbers = np.random.default_rng(0).standard_normal((1100, 4))
    np.testing.assert_array_equal(again.scores_of(numbers), model.scores_of(numbers))
    batch = Batch(jnp.asarray(numbers, jnp.float32), jnp.zeros((1100, 0), jnp.int32))
    truth = network(batch, network.statistics)[0]
    np.testing.assert_allclose(model.scores_of(numbers), np.asarray(truth), atol=1e-5)
    chances = model.probabilities(model.scores_of(numbers))
    assert chances is not None
    np.testing.assert_allclose(chances.sum(axis=1), 1)


def test_arrays_of_another_network_are_refused() -> None:
    small, large = (build_network(parse_model(text), (4,), 1, KEY) for text in ("mlp:3", "mlp:5"))
    with pytest.raises(ValueError, match="shape"):
        with_arrays(large, (), arrays_of(small, ()))
