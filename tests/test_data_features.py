from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from downslope.data.features import Plan, Prepared, prepare
from downslope.data.sources import Table, read
from downslope.records.spec import Spec


def table_of(**columns: object) -> Table:
    return read(columns)


def made(table: Table, target: str = "y", **settings: object) -> Prepared:
    return prepare(table, Spec(target=target, **settings))  # type: ignore[arg-type]


def flights_like(rows: int = 500, seed: int = 0) -> dict[str, list[object]]:
    drawn = np.random.default_rng(seed)
    columns: dict[str, list[object]] = {
        "distance": drawn.integers(100, 3000, rows).tolist(),
        "delay": np.where(drawn.random(rows) < 0.1, np.nan, drawn.normal(5, 30, rows)).tolist(),
        "carrier": drawn.choice(["AA", "UA", "DL", "航空"], rows, p=[0.5, 0.3, 0.15, 0.05]).tolist(),
        "origin": [None if u < 0.1 else "JFK" if u < 0.5 else "EWR" for u in drawn.random(rows)],
        "weekend": (drawn.random(rows) < 0.3).tolist(),
    }
    columns["y"] = drawn.normal(0, 1, rows).tolist()
    return columns


def training_rows(made_ready: Prepared, rows: int) -> NDArray[np.intp]:
    return np.setdiff1d(np.arange(rows), made_ready.holdout_rows)


def one_hot(codes: NDArray[np.int32], levels: int) -> NDArray[np.float64]:
    out = np.zeros((codes.shape[0], levels))
    for column in codes.T:
        out[np.arange(codes.shape[0]), column] = 1
    return out


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_encodings_are_those_of_scikit_learn(precision: str) -> None:
    columns = flights_like()
    ready = made(read(columns), precision=precision)
    rows = training_rows(ready, 500)
    plain = np.column_stack([columns["distance"], columns["weekend"]]).astype(float)
    filled = SimpleImputer(add_indicator=True).fit(np.array(columns["delay"])[rows, None])
    delay = filled.transform(np.array(columns["delay"], dtype=float)[:, None])
    wanted = np.column_stack([plain[:, 0], delay, plain[:, 1]])
    scaler = StandardScaler().fit(wanted[rows])
    tolerance = 1e-12 if precision == "float64" else 1e-5
    numbers = ready.train.blocks[0].numbers
    assert [each.name for each in ready.plan.numbers] == ["distance", "delay", "delay is missing", "weekend"]
    assert numbers.dtype == precision
    np.testing.assert_allclose(numbers, scaler.transform(wanted[rows]), atol=tolerance)
    assert ready.holdout is not None
    held = ready.holdout.blocks[0]
    np.testing.assert_allclose(held.numbers, scaler.transform(wanted[ready.holdout_rows]), atol=tolerance)
    np.testing.assert_allclose(ready.train.center, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(ready.train.scale, scaler.scale_, rtol=1e-12)

    words = np.column_stack([columns["carrier"], [each or "(missing)" for each in columns["origin"]]])  # type: ignore[list-item]
    orders = [[*each.levels, *(["(missing)"] if each.missing else []), "(other)"] for each in ready.plan.categories]
    hot = OneHotEncoder(categories=orders, sparse_output=False, dtype=float).fit(words[rows])
    np.testing.assert_array_equal(one_hot(ready.train.blocks[0].codes, ready.plan.levels), hot.transform(words[rows]))
    wanted_held = hot.transform(words[ready.holdout_rows])
    np.testing.assert_array_equal(one_hot(held.codes, ready.plan.levels), wanted_held)
    assert ready.plan.feature_names()[4:] == [
        f"{name}={level}" for name, levels in zip(["carrier", "origin"], orders, strict=True) for level in levels
    ]


def test_blocks_have_the_promised_layout() -> None:
    ready = made(read(flights_like()))
    for examples in (ready.train, ready.holdout):
        assert examples is not None
        (block,) = examples
        assert block.start == 0
        assert block.numbers.flags.c_contiguous
        assert block.codes.flags.c_contiguous
        assert block.codes.dtype == np.int32
        assert examples.target.dtype == np.float64
        assert examples.applied
        assert examples.levels == ready.plan.levels
        assert examples.features == ready.plan.features == len(ready.plan.feature_names()) == ready.summary.features
        assert block.rows == examples.rows
        assert block.codes.min() >= 0
        assert block.codes.max() < examples.levels


def test_the_precision_follows_the_size() -> None:
    small = {"x": np.arange(1000.0) ** 1.5, "y": np.arange(1000.0)}
    assert made(read(small)).train.dtype == np.float64
    large = {f"x{j}": np.random.default_rng(j).normal(size=100_000) for j in range(41)}
    large["y"] = large["x0"]
    assert made(read(large)).train.dtype == np.float32
    assert made(read(large), precision="float64").train.dtype == np.float64


def test_without_standardising_numbers_stay_and_missing_take_the_mean() -> None:
    values = [1.0, None, 4.0, 7.0] * 10
    ready = made(table_of(x=values, y=list(range(40))), standardize=False, holdout=0)
    np.testing.assert_array_equal(
        ready.train.blocks[0].numbers, [[4.0 if v is None else v, float(v is None)] for v in values]
    )
    np.testing.assert_array_equal(ready.plan.center, [0, 0])
    np.testing.assert_array_equal(ready.plan.scale, [1, 1])


CELLS = {
    "number": st.none() | st.floats(-1e6, 1e6) | st.just(float("nan")),
    "integer": st.none() | st.integers(-(2**40), 2**40),
    "boolean": st.none() | st.booleans(),
    "category": st.none() | st.sampled_from(["", "a", "b", 'q"q', "中文", "(other)", "(missing)", "line\nbreak"]),
    "date": st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    "moment": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    "clock": st.none() | st.times(),
}
TYPES = {
    "number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "category": pa.string(),
    "date": pa.date32(), "moment": pa.timestamp("us"), "clock": pa.time64("us"),
}  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(25, 60))
    columns = {
        name: pa.array(draw(st.lists(cell, min_size=rows, max_size=rows)), TYPES[name]) for name, cell in CELLS.items()
    }
    columns["always"] = pa.array(np.arange(rows) % 7 * 0.5)
    columns["y"] = pa.array(np.arange(rows) * 1.5)
    return read(pa.table(columns))


@settings(max_examples=40)
@given(tables())
def test_a_plan_survives_json_and_encodes_every_part_alike(table: Table) -> None:
    ready = made(table)
    plan = Plan.from_json(json.loads(json.dumps(ready.plan.to_json(), allow_nan=False)))
    assert plan == ready.plan
    numbers, codes = plan.encode(table)
    assert np.isfinite(numbers).all()
    assert numbers.shape == (table.rows, len(plan.numbers))
    rows = training_rows(ready, table.rows)
    np.testing.assert_array_equal(numbers[rows], ready.train.blocks[0].numbers)
    np.testing.assert_array_equal(codes[rows], ready.train.blocks[0].codes)
    assert ready.holdout is not None
    np.testing.assert_array_equal(numbers[ready.holdout_rows], ready.holdout.blocks[0].numbers)
    np.testing.assert_array_equal(codes[ready.holdout_rows], ready.holdout.blocks[0].codes)
    if codes.size:
        offsets = np.cumsum([0, *(each.size for each in plan.categories)])
        assert (codes >= offsets[:-1]).all()
        assert (codes < offsets[1:]).all()
    assert np.abs(ready.train.blocks[0].numbers.mean(axis=0)).max() < 1e-6


@settings(max_examples=30)
@given(tables(), st.data())
def test_a_row_is_encoded_alike_alone_and_in_any_order(table: Table, data: st.DataObject) -> None:
    plan = made(table).plan
    numbers, codes = plan.encode(table)
    rows = data.draw(st.lists(st.integers(0, table.rows - 1), min_size=1, max_size=8))
    again, codes_again = plan.encode(read(table.arrow.take(rows)))
    np.testing.assert_array_equal(again, numbers[rows])
    np.testing.assert_array_equal(codes_again, codes[rows])


def test_levels_go_by_frequency_then_name_and_the_rest_to_other() -> None:
    names = [f"n{index:03d}" for index in range(300)]
    values = names * 4 + ["n299"] * 3 + ["n150"] * 2 + ["n007"] * 2
    ready = made(table_of(c=values, y=list(range(len(values)))), holdout=0)
    (feature,) = ready.plan.categories
    assert feature.levels == ("n299", "n007", "n150", *[name for name in names if name not in ("n007", "n150")][:253])
    assert feature.size == 257
    other = ready.train.blocks[0].codes[:, 0] == 256
    np.testing.assert_array_equal(other, [value not in feature.levels for value in values])
    assert "256 most frequent of 300" in ready.summary.columns[0].treatment


def test_unseen_levels_and_missing_not_seen_in_training_go_to_other() -> None:
    table = table_of(c=["a", "b", "b"] * 20, d=["p", None, "q"] * 20, y=list(range(60)))
    plan = made(table, holdout=0).plan
    _, codes = plan.encode(table_of(c=["b", "a", "new", None], d=["new", None, "q", "p"], more=[1, 2, 3, 4]))
    assert plan.feature_names() == ["c=b", "c=a", "c=(other)", "d=p", "d=q", "d=(missing)", "d=(other)"]
    np.testing.assert_array_equal(codes, [[0, 6], [1, 5], [2, 4], [2, 3]])


def test_missing_numbers_without_an_indicator_take_the_mean() -> None:
    plan = made(table_of(x=[1.0, 3.0] * 20, y=list(range(40))), holdout=0).plan
    numbers, _ = plan.encode(table_of(x=[None, 3.0, float("nan")]))
    np.testing.assert_array_equal(numbers, [[0.0], [1.0], [0.0]])


def test_a_date_becomes_the_parts_that_vary() -> None:
    start = datetime(2023, 11, 3, 22, 30)
    moments = [start + timedelta(hours=7 * index) for index in range(400)]
    ready = made(table_of(when=moments, y=list(range(400))), holdout=0, standardize=False)
    names = ready.plan.feature_names()
    assert names[:2] == ["when.year", "when.day"]
    assert not [name for name in names if "minute" in name or "second" in name]
    numbers, codes = ready.train.blocks[0].numbers, ready.train.blocks[0].codes
    np.testing.assert_array_equal(numbers, [[each.year, each.day] for each in moments])
    got = [[names[2 + code] for code in row] for row in codes]
    wanted = [[f"when.month={m.month}", f"when.weekday={m:%A}", f"when.hour={m.hour}"] for m in moments]
    assert got == wanted


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("ns"), pa.timestamp("us", "Asia/Shanghai"), pa.date64()],
)
def test_dates_of_every_unit_and_zone_encode_alike(kind: pa.DataType) -> None:
    days = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=index) for index in range(90)]
    plain = pa.array([each.replace(tzinfo=None) for each in days], pa.timestamp("us"))
    other = pa.array(days, kind) if kind != pa.date64() else pa.array([each.date() for each in days], kind)
    y = pa.array(np.arange(90.0))
    first = made(read(pa.table({"when": plain, "y": y})))
    second = made(read(pa.table({"when": other, "y": y})))
    assert first.plan == second.plan
    np.testing.assert_array_equal(first.train.blocks[0].codes, second.train.blocks[0].codes)
    encoded = first.plan.encode(read(pa.table({"when": other})))
    np.testing.assert_array_equal(encoded[0], first.plan.encode(read(pa.table({"when": plain})))[0])


def test_missing_dates_are_marked_once() -> None:
    days = [date(2023, 1, 1) + timedelta(days=13 * index) if index % 5 else None for index in range(60)]
    names = made(table_of(when=days, y=list(range(60))), holdout=0).plan.feature_names()
    assert [name for name in names if "missing" in name] == ["when.month=(missing)", "when.weekday=(missing)"]
    years = [date(2000 + index, 1, 1) if index % 5 else None for index in range(60)]
    names = made(table_of(when=years, y=list(range(60))), holdout=0).plan.feature_names()
    assert names[0] == "when.year"
    assert [name for name in names if "missing" in name] == ["when.weekday=(missing)"]
    clocks = [time(12, index, 0) if index % 5 else None for index in range(60)]
    names = made(table_of(at=clocks, y=list(range(60))), holdout=0).plan.feature_names()
    assert names == ["at.minute", "at is missing"]


def test_every_type_of_duckdb_is_used_or_left_out_with_a_reason() -> None:
    table = read(
        None,
        sql="""select (i % 7)::hugeint as huge, (i % 5)::decimal(9, 2) / 3 as dec, (i % 9)::decimal(30, 3) as wide,
        interval (i % 6) day as span, (case when i % 3 = 0 then 'a' else 'b' end)::enum('a', 'b') as choice,
        uuid() as ident, [i] as list, {'a': i} as struct, 'x'::blob as blob, map {'a': i} as map, null as nothing,
        (i % 4)::utinyint as tiny, (i % 2 = 0) as flag, time '10:00' + interval (i) minute as clock,
        timestamptz '2020-01-01' + interval (i) day as zoned, timestamp_ns '2020-01-01' as same, (i % 3)::float as f,
        '{"a": 1}'::json as j, '101'::bit as bits, sin(i) as y from range(100) t(i)""",
    )
    columns = {each.name: each for each in made(table).summary.columns}
    assert {name for name, each in columns.items() if each.features} == {
        "huge", "dec", "wide", "span", "choice", "tiny", "flag", "clock", "zoned", "f",
    }  # fmt: skip
    for name, word in (
        ("ident", "identifier"), ("list", "list"), ("struct", "struct"), ("map", "struct"), ("blob", "binary"),
        ("nothing", "missing"), ("same", "constant"), ("j", "constant"),
    ):  # fmt: skip
        assert word in columns[name].treatment, columns[name]
    assert (columns["choice"].kind, columns["flag"].kind, columns["nothing"].kind) == ("category", "boolean", "null")


def test_decimals_and_spans_keep_their_values() -> None:
    columns = {
        "dec": pa.array([Decimal("1.25"), Decimal("-3.50"), None] * 10, pa.decimal128(9, 2)),
        "span": pa.array([timedelta(days=1), timedelta(seconds=1.5), timedelta(0)] * 10, pa.duration("us")),
        "half": pa.array(np.array([0.5, 1.5, 2.5] * 10, np.float16)),
        "y": pa.array(np.arange(30.0)),
    }
    ready = made(read(pa.table(columns)), standardize=False, holdout=0)
    wanted = np.array([[1.25, 0, 86400, 0.5], [-3.5, 0, 1.5, 1.5], [-1.125, 1, 0, 2.5]] * 10)
    np.testing.assert_allclose(ready.train.blocks[0].numbers, wanted, rtol=1e-15)
    from_duckdb = read(None, sql="select interval 36 hour as span, 1.0 as y union all select interval 1 second, 2.0")
    got = made(from_duckdb, standardize=False, holdout=0).train.blocks[0].numbers
    np.testing.assert_array_equal(got, [[129600.0], [1.0]])


IDENTIFIERS = {
    "a text": [f"row {index}" for index in range(100)],
    "row number": list(range(7, 107)),
    "falling number": list(range(1000, 0, -10)),
    "customer_id": np.random.default_rng(0).permutation(100).tolist(),
    "ID": np.random.default_rng(1).permutation(100).tolist(),
    "编号": np.random.default_rng(2).permutation(100).tolist(),
}
NOT_IDENTIFIERS = {
    "float": np.linspace(0, 1, 100).tolist(),
    "amount": np.random.default_rng(0).permutation(100).tolist(),
    "repeated_id": [index // 2 for index in range(100)],
    "category": [f"level {index % 10}" for index in range(100)],
    "grid": np.random.default_rng(0).permutation(100).tolist(),
}


@pytest.mark.parametrize("name", [*IDENTIFIERS, *NOT_IDENTIFIERS])
def test_identifiers_are_left_out_and_nothing_else_is(name: str) -> None:
    values = {**IDENTIFIERS, **NOT_IDENTIFIERS}[name]
    drawn = np.random.default_rng(3).normal(size=100).tolist()
    ready = prepare(read({name: values, "x": drawn, "y": drawn[::-1]}), Spec(target="y"))
    assert (ready.summary.columns[0].features == 0) == (name in IDENTIFIERS)
    assert ("identifier" in ready.summary.columns[0].treatment) == (name in IDENTIFIERS)
    assert [each.column for each in ready.plan.left_out] == ([name] if name in IDENTIFIERS else [])


def test_a_count_is_kept_where_there_is_nothing_else_or_too_little() -> None:
    y = np.random.default_rng(0).normal(size=100).tolist()
    assert made(table_of(x=list(range(100)), y=y)).plan.inputs == ("x",)
    assert made(table_of(x=list(range(30)), z=y[:30], y=y[:30][::-1])).plan.inputs == ("x", "z")


def test_constant_and_empty_columns_are_left_out_and_said_so() -> None:
    count = 40
    ready = made(
        table_of(
            one=[3] * count,
            word=["w"] * count,
            true=[True] * count,
            none=[None] * count,
            nan=[float("nan")] * count,
            noise=[0.1 + 0.2, 0.3] * (count // 2),
            empty=pa.nulls(count, pa.string()),
            x=[1.0, 2.0] * (count // 2),
            half=[1, None] * (count // 2),
            y=list(range(count)),
        )
    )
    treatments = {each.name: each.treatment for each in ready.summary.columns}
    assert ready.plan.inputs == ("x", "half")
    assert ready.plan.feature_names() == ["x", "half is missing"]
    for name in ("one", "word", "true", "noise"):
        assert "left out: constant" in treatments[name]
    for name in ("none", "nan", "empty"):
        assert treatments[name] == "left out: every value is missing"


def test_the_summary_counts_rows_and_says_what_became_of_each_column() -> None:
    columns = flights_like(300)
    columns["y"][:30] = [None] * 30
    summary = made(read(columns), holdout=0.1).summary
    assert (summary.rows, summary.dropped_rows, summary.holdout_rows, summary.train_rows) == (270, 30, 27, 243)
    assert [each.name for each in summary.columns] == ["distance", "delay", "carrier", "origin", "weekend"]
    assert [each.kind for each in summary.columns] == ["number", "number", "category", "category", "boolean"]
    assert [each.treatment for each in summary.columns] == [
        "standardised", "standardised, with an indicator of the missing", "one-hot, 4 levels",
        "one-hot, 2 levels and missing", "standardised",
    ]  # fmt: skip
    assert summary.columns[1].missing == sum(value != value for value in columns["delay"])
    assert summary.columns[3].missing == columns["origin"].count(None)
    assert (summary.target_kind, summary.classes) == ("number", ())


def test_the_original_values_come_back_by_center_and_scale() -> None:
    columns = flights_like()
    ready = made(read(columns), precision="float64")
    numbers, _ = ready.plan.encode(read(columns))
    back = numbers * ready.plan.scale + ready.plan.center
    np.testing.assert_allclose(back[:, 0], columns["distance"], rtol=1e-12)
    np.testing.assert_allclose(back[:, 3], columns["weekend"], atol=1e-12)


def test_odd_names_become_features() -> None:
    names = ['he said "hi"', "two words", "名字", "line\nbreak", "a", "A"]
    drawn = np.random.default_rng(0).normal(size=(30, 6))
    ready = prepare(read({name: drawn[:, j] for j, name in enumerate(names)}), Spec(target="A", drop=("two words",)))
    assert ready.plan.feature_names() == [name for name in names if name not in ("A", "two words")]
    np.testing.assert_array_equal(ready.train.target, np.delete(drawn[:, 5], ready.holdout_rows))
