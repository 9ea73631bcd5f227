"""Text columns: n-grams, hashes and rarity against scikit-learn, bit for bit; names, collisions, models and errors."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.utils import murmurhash3_32

import downslope as ds
from downslope.data.blocks import SparseRows
from downslope.data.features import prepare
from downslope.data.table import as_table
from downslope.data.text.buckets import Buckets
from downslope.data.text.columns import count, fit_text, text_of
from downslope.errors import ColumnError, OptionError
from downslope.records import Spec
from downslope.records.grams import Kind
from downslope.store import load

DOCUMENTS = [
    "Hello, World! hello a b", "", "  x   yy  zzz\tq\n\n end ", "ÄÖÜ straße ΑΣ ΑΣΑ İstanbul", 
    "日本語 テキスト 中文 文本 ½ ² _ __a", "𝔘𝔫𝔦 one\u00a0two\u3000three ௧௨ \ua7cb\ua7dcx", "a",
    "the cat sat on the mat, the cat", "\x1c\x85 \u200b",
]  # fmt: skip
GRAMS = [(each, *span) for each in ("word", "char", "char_wb") for span in ((1, 1), (1, 2), (2, 3), (3, 5))]


def drawn(rows: int) -> list[str]:
    """Return strings of letters, spaces and marks of several scripts."""
    rng = random.Random(1)
    letters = "ab cdéß日本 \t_1,.İΣσ"
    return ["".join(rng.choice(letters) for _ in range(rng.randrange(60))) for _ in range(rows)]


def matrix(rows: SparseRows, columns: int) -> Any:
    return csr_array((rows.values, rows.places, rows.starts), shape=(rows.rows, columns))


def counted(documents: list[str], kind: Kind, bits: int, *, signed: bool = False) -> Any:
    text = text_of(pa.chunked_array([pa.array(documents, pa.string())]))
    return matrix(count(text, kind, bits, signed=signed), 1 << bits)


@pytest.mark.parametrize(("analyzer", "low", "high"), GRAMS)
@pytest.mark.parametrize("bits", [10, 20])
@pytest.mark.parametrize("signed", [True, False])
def test_counts_are_those_of_the_hashing_vectorizer(
    analyzer: str, low: int, high: int, bits: int, signed: bool
) -> None:
    documents = DOCUMENTS + drawn(100)
    theirs = HashingVectorizer(
        analyzer=analyzer, ngram_range=(low, high), n_features=1 << bits, norm=None, alternate_sign=signed
    ).transform(documents)
    ours = counted(documents, Kind(analyzer, low, high), bits, signed=signed)
    assert theirs.nnz > 500
    assert (abs(ours - theirs)).max() == 0


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=4), st.sampled_from(GRAMS))
def test_any_text_is_hashed_as_scikit_learn_hashes_it(documents: list[str], grams: tuple[str, int, int]) -> None:
    analyzer, low, high = grams
    theirs = HashingVectorizer(analyzer=analyzer, ngram_range=(low, high), n_features=1 << 14, norm=None)
    ours = counted(documents, Kind(analyzer, low, high), 14, signed=True)
    assert abs(ours - theirs.transform(documents)).max() == 0


def test_a_row_has_no_bucket_twice_and_chunks_and_nulls_change_nothing() -> None:
    documents = DOCUMENTS + drawn(200)
    whole = count(text_of(pa.chunked_array([documents])), Kind("char", 1, 3), 10)
    for row in range(whole.rows):
        places = whole.places[whole.starts[row] : whole.starts[row + 1]]
        assert np.unique(places).size == places.size
    column = pa.chunked_array([pa.array(documents[:7]), pa.array([None, *documents[7:]]).slice(1)])
    parts = count(text_of(column), Kind("char", 1, 3), 10)
    assert (matrix(whole, 1024) - matrix(parts, 1024)).nnz == 0
    assert count(text_of(pa.chunked_array([pa.array([None, "ab cd"])])), Kind("word", 1, 1), 10).starts.tolist() == [
        0, 0, 2,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [Kind("word", 1, 2), Kind("char_wb", 2, 4)])
def test_weights_are_those_of_the_tfidf_transformer(kind: Kind) -> None:
    documents = DOCUMENTS + drawn(150)
    train = np.arange(0, len(documents), 2)
    text = text_of(pa.chunked_array([documents]))
    counts = count(text, kind, 16)
    feature = fit_text("t", text, counts, train, kind, 16)
    ours = matrix(feature.weigh(counts, np.dtype(np.float64)), feature.size)
    theirs = TfidfTransformer(sublinear_tf=True).fit(
        counted([documents[each] for each in train], kind, 16).astype(np.float64)
    )
    ids = feature.buckets.ids
    np.testing.assert_allclose(feature.rarity, theirs.idf_[ids], rtol=1e-12)
    # A bucket that no training row met has no column here; a row of training has none of those.
    expected = theirs.transform(counted(documents, kind, 16).astype(np.float64))[train][:, ids]
    np.testing.assert_allclose(ours[train].toarray(), expected.toarray(), atol=1e-7)
    lengths = np.sqrt((ours**2).sum(axis=1))
    assert np.all(np.isclose(lengths, 1, atol=1e-6) | (lengths == 0))


def test_columns_are_named_by_the_ngram_met_most_and_stand_by_frequency() -> None:
    text = text_of(pa.chunked_array([["red red blue", "red Blue, green", "red; blue", "émigré"] * 30]))
    kind = Kind("word", 1, 2)
    feature = fit_text("colour", text, count(text, kind, 18), None, kind, 18)
    names = [feature.feature_name(place) for place in range(feature.size)]
    assert set(names[:3]) == {"colour: red", "colour: blue", "colour: red blue"}
    assert set(names) == {
        f"colour: {each}" for each in ("red", "blue", "red blue", "red red", "green", "blue green", "émigré")
    }
    place = names.index("colour: green")
    assert feature.buckets.ids[place] == abs(murmurhash3_32("green")) % (1 << 18)
    assert feature.shared == 0


def test_collisions_are_measured() -> None:
    documents = [" ".join(f"w{each}" for each in range(first, first + 40)) for first in range(0, 2000, 40)]
    text = text_of(pa.chunked_array([documents]))
    kind = Kind("word", 1, 1)
    feature = fit_text("t", text, count(text, kind, 10), None, kind, 10)
    buckets = Counter(abs(murmurhash3_32(f"w{each}")) % 1024 for each in range(2000))
    assert feature.shared == pytest.approx(sum(each for each in buckets.values() if each > 1) / 2000)


def test_a_name_is_cut_between_characters() -> None:
    text = text_of(pa.chunked_array([["本" * 40]]))
    kind = Kind("word", 1, 1)
    feature = fit_text("t", text, count(text, kind, 10), None, kind, 10)
    assert feature.feature_name(0) == "t: " + "本" * 16


def test_many_bits_are_looked_up_by_bisection() -> None:
    ids = np.array([5, (1 << 30) - 1, 7, 5], np.int32)
    buckets, met = Buckets.met(ids)
    assert buckets.ids.tolist() == [5, 7, (1 << 30) - 1]
    assert met.tolist() == [2, 1, 1]
    assert buckets.finder()(np.array([7, 6, (1 << 30) - 1, 0, 5], np.int32)).tolist() == [1, -1, 2, -1, 0]


def reviews(rows: int = 600) -> pa.Table:
    """Return reviews whose words tell their stars, a number and a category of many levels."""
    rng = np.random.default_rng(0)
    good, bad = ["superb", "fine", "lovely"], ["awful", "dull", "broken"]
    rest = ["the", "film", "was", "very", "long", "and"]
    stars = rng.integers(2, size=rows)
    told = [" ".join(rng.permutation([*rng.choice(rest, 6), *rng.choice(good if one else bad, 2)])) for one in stars]
    maker = [f"M{each}" for each in rng.integers(0, 290, rows)]
    return pa.table({
        "review": told, "minutes": rng.normal(100, 20, rows), "maker": maker,
        "stars": ["good" if one else "bad" for one in stars],
    })  # fmt: skip


@pytest.mark.parametrize("method", ["scaled", "full-batch", "mini-batch"])
def test_a_fit_learns_from_text_and_its_saved_model_predicts_the_same(method: str, tmp_path: Path) -> None:
    table = reviews()
    run = ds.fit(table, "stars", text="review", method=method, runs=tmp_path, tolerance=1e-2)
    assert run.holdout["accuracy"] > 0.98
    assert run.gap_kind == "certified"
    assert re.fullmatch(r"review: (superb|fine|lovely|awful|dull|broken)", run.coefficients[0].feature)
    again = load(run.run, tmp_path)
    fresh = reviews(80).append_column("other", pa.array(["x"] * 80))
    np.testing.assert_array_equal(run.model.scores(fresh), again.model.scores(fresh))
    assert again.model.plan.feature_names() == run.model.plan.feature_names()
    assert len(run.model.plan.feature_names()) == run.model.point.weights.shape[0] == run.data.features
    unseen = pa.table({"review": ["superb lovely", "", None], "minutes": [100.0] * 3, "maker": ["M1"] * 3})
    assert again.model.predict(unseen)[0] == "good"


def test_scores_are_those_of_the_features_written_out() -> None:
    table = reviews(300)
    run = ds.fit(table, "stars", text="review", hash_bits=12, grams=("word:1-1", "char_wb:3-3"), runs=None)
    prepared = prepare(as_table(table, "the table"), run.spec)
    model, block = run.model, prepared.train.blocks[0]
    assert block.sparse is not None
    rows = np.setdiff1d(np.arange(300), prepared.holdout_rows)
    scores = model.scores(table)[rows]
    weights = model.point.weights
    dense = np.zeros((rows.size, weights.shape[0]))
    p = block.numbers.shape[1]
    dense[:, :p] = block.numbers
    for c in range(block.codes.shape[1]):
        dense[np.arange(rows.size), p + block.codes[:, c]] = 1
    dense[:, p + prepared.train.levels :] = matrix(block.sparse, prepared.train.sparse).toarray()
    np.testing.assert_allclose(dense @ weights + model.point.intercept, scores, atol=1e-10)


def test_levels_above_the_one_hot_limit_are_hashed_when_bits_are_given() -> None:
    rng = np.random.default_rng(3)
    levels = [f"L{each}" for each in rng.integers(0, 700, 4000)]
    table = pa.table({"level": levels, "y": [math.sin(int(each[1:])) + rng.normal(0, 0.05) for each in levels]})
    plain = ds.fit(table, "y", runs=None)
    hashed = ds.fit(table, "y", hash_bits=18, runs=None)
    assert hashed.holdout["r2"] > 0.95 > plain.holdout["r2"] + 0.2
    (column,) = hashed.data.columns
    assert "the rarer ones hashed into 2^18 buckets" in column.treatment
    (feature,) = hashed.model.plan.sparse
    known = hashed.model.plan.categories[0].levels
    names = {feature.feature_name(place) for place in range(feature.size)}
    assert not names & {f"level={each}" for each in known}
    assert len(names) + len(known) == column.features - 1  # and one for all others
    name = feature.feature_name(0).removeprefix("level=")
    assert feature.buckets.ids[0] == abs(murmurhash3_32(name)) % (1 << 18)


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"text": "reviw"}, ColumnError, 'no text column "reviw" to learn from in the Table; nearest: "review"'),
        ({"text": "minutes"}, ColumnError, 'column "minutes" is to be read as text, but holds number values'),
        ({"text": "stars"}, OptionError, "the target cannot also be a text"),
        ({"text": "review", "grams": "words"}, OptionError, "grams must be word, char or char_wb"),
        ({"text": "review", "grams": "word:3-2"}, OptionError, "grams must be word, char or char_wb"),
        ({"text": "review", "hash_bits": 9}, OptionError, "hash-bits must be"),
        ({"text": "review", "hash_bits": 31}, OptionError, "hash-bits must be"),
        ({"text": "review", "model": "mlp:8"}, OptionError, "text is learned from by linear models"),
    ],
)
def test_what_cannot_be_text_is_refused_in_one_sentence(given: dict[str, Any], error: type, told: str) -> None:
    with pytest.raises(error, match=re.escape(told)):
        ds.fit(reviews(60), "stars", runs=None, **given)


def test_a_model_of_text_says_what_its_table_lacks() -> None:
    run = ds.fit(reviews(200), "stars", text="review", drop=("maker", "minutes"), runs=None)
    with pytest.raises(ColumnError, match='needs the column "review"'):
        run.model.predict(pa.table({"x": [1]}))
    with pytest.raises(ColumnError, match='column "review" is to be read as text'):
        run.model.predict(pa.table({"review": [1]}))


def test_a_sweep_of_text_is_refused() -> None:
    with pytest.raises(OptionError, match="leave text out"):
        ds.sweep(reviews(100), "stars", text="review")


def test_a_text_of_no_ngrams_is_left_out() -> None:
    table = reviews(100).append_column("marks", pa.array(["! ?"] * 100))
    run = ds.fit(table, "stars", text=("marks",), drop="review", runs=None)
    assert "marks" in {each.column for each in run.model.plan.left_out}
    assert Spec(text=("a",), grams=("char:3",)).grams == ("char:3",)
