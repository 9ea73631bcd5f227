"""Values that no plan can take, and tables that do not fit a plan at prediction: each refused by name."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from downslope.data.features import Plan, prepare
from downslope.data.sources import Table, read
from downslope.errors import ColumnError, InputError
from downslope.records.spec import Spec
from tests.test_data_features import made, table_of


def complaint(kind: type[InputError], table: Table, **call: object) -> str:
    with pytest.raises(kind) as caught:
        prepare(table, Spec(**{"target": "y", **call}))  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_an_infinity_is_named_by_column_and_row(value: float) -> None:
    for standardize in (True, False):
        values = [1.0, 2.0, None, float("nan")] * 10
        values[17] = value
        text = complaint(ColumnError, table_of(x=[1.0] * 40, price=values, y=list(range(40))), standardize=standardize)
        assert '"price"' in text
        assert "row 18" in text
    plan = made(table_of(x=[1.0, 2.0] * 20, y=list(range(40)))).plan
    with pytest.raises(ColumnError, match=r'"x" is .*infinity in row 2'):
        plan.encode(table_of(x=[1.0, value]))


def test_numbers_too_large_are_refused_not_turned_into_infinity() -> None:
    huge = [1e200, -1e200] * 20
    assert "too large" in complaint(ColumnError, table_of(x=huge, y=list(range(40))))
    large = [1e100, -1e100] * 20
    assert "too large" in complaint(ColumnError, table_of(x=large, y=list(range(40))), standardize=False)
    ready = made(table_of(x=large, y=list(range(40))), precision="float32")
    np.testing.assert_allclose(np.abs(ready.train.blocks[0].numbers), 1, rtol=0.5)


def test_nothing_left_to_learn_from_is_refused() -> None:
    assert "constant" in complaint(ColumnError, table_of(x=[1] * 40, y=list(range(40))))
    assert "no column" in complaint(ColumnError, table_of(y=list(range(40))))
    assert "no column" in complaint(ColumnError, table_of(x=list(range(40)), y=list(range(40))), drop=("x",))


def plan_of_every_kind() -> Plan:
    days = [date(2024, 1, 1) + timedelta(days=9 * index) for index in range(40)]
    clocks = [time(index % 24, index) for index in range(40)]
    columns = {"n": [1, 2.5] * 20, "b": [True, False] * 20, "c": ["u", "v"] * 20, "d": days, "t": clocks}
    return made(read({**columns, "y": list(range(40))})).plan


GOOD = {"n": [1.5], "b": [True], "c": ["u"], "d": [date(2024, 5, 5)], "t": [time(3, 4)]}


def test_missing_columns_at_prediction_are_named_with_the_nearest() -> None:
    plan = made(table_of(price=[1, 2.5] * 20, size=[2.5, 1] * 20, y=list(range(40)))).plan
    with pytest.raises(ColumnError, match=r'"price", which .* lacks; nearest: "prize"; rename') as caught:
        plan.encode(table_of(prize=[1.0], size=[1.0]))
    assert "\n" not in str(caught.value)
    with pytest.raises(ColumnError, match='"price" and 1 more'):
        plan.encode(table_of(other=[1.0]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", "x"), ("n", date(2024, 1, 1)), ("n", [1]), ("n", b"x"), ("b", "true"), ("b", 2), ("b", 0.5),
        ("c", 1.5), ("c", date(2024, 1, 1)), ("c", [1]), ("d", 5), ("d", "2024-01-01"), ("d", time(1, 2)),
        ("t", 5), ("t", date(2024, 1, 1)), ("t", "x"),
    ],
)  # fmt: skip
def test_another_kind_of_value_at_prediction_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ColumnError) as caught:
        plan_of_every_kind().encode(read({**{each: [None, *GOOD[each]] for each in GOOD}, name: [None, value]}))
    text = str(caught.value)
    assert f'"{name}" held' in text
    assert "row 2" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("name", "given", "same"),
    [
        ("n", True, 1.0), ("n", Decimal("2.5"), 2.5), ("b", 1, True), ("b", 0.0, False),
        ("d", datetime(2024, 5, 5, 0, 0), date(2024, 5, 5)), ("c", 7, "7"), ("c", True, "true"),
    ],
)  # fmt: skip
def test_values_that_mean_the_same_encode_the_same(name: str, given: object, same: object) -> None:
    plan = plan_of_every_kind()
    first, second = plan.encode(read({**GOOD, name: [given]})), plan.encode(read({**GOOD, name: [same]}))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_a_column_all_missing_at_prediction_is_missing_whatever_its_type() -> None:
    plan = plan_of_every_kind()
    empty = {name: pa.nulls(2, pa.string()) for name in GOOD}
    numbers, codes = plan.encode(read({**empty, "row": [1, 2]}))
    untyped, codes_untyped = plan.encode(read({**{name: [None, None] for name in GOOD}, "row": [1, 2]}))
    np.testing.assert_array_equal(numbers, untyped)
    np.testing.assert_array_equal(codes, codes_untyped)
    np.testing.assert_array_equal(numbers, np.zeros_like(numbers))
    others = np.cumsum([each.size for each in plan.categories]) - 1
    np.testing.assert_array_equal(codes, np.tile(others, (2, 1)))
