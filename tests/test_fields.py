"""JSON into dataclasses: every way to be wrong is a ValueError, in one line, and soon."""

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.fields import (
    MOST_BYTES,
    MOST_DEPTH,
    MOST_VALUES,
    Between,
    Like,
    Short,
    build,
    read_json,
)

NUMBERS = st.integers() | st.floats() | st.booleans() | st.none()
VALUES = st.recursive(
    NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@dataclass(frozen=True)
class Inner:
    share: Annotated[float, Between(0.0, 1.0)]


@dataclass(frozen=True)
class Outer:
    name: Annotated[str, Like("[a-z]{1,8}", "a short word")]
    count: Annotated[int, Between(0, 9)]
    parts: Annotated[tuple[Inner, ...], Short(2)]


GOOD: dict[str, Any] = {"name": "cat", "count": 3, "parts": [{"share": 0.5}, {"share": 1}]}


def test_what_is_right_is_made() -> None:
    assert build(Outer, GOOD) == Outer("cat", 3, (Inner(0.5), Inner(1)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Cat"}, "name must be a short word"),
        ({"name": "cat\n"}, "name must be a short word"),
        ({"name": 5}, "name has the wrong type"),
        ({"count": -1}, "count must lie between 0 and 9"),
        ({"count": 10**14}, "count must lie between 0 and 9"),
        ({"count": 1.0}, "count has the wrong type"),
        ({"count": True}, "count has the wrong type"),
        ({"parts": [{"share": 0.5}] * 3}, "parts has 3 items or characters; 2 are allowed"),
        ({"parts": [{"share": float("nan")}]}, r"parts\[0\].share must lie between"),
        ({"parts": [{"share": 1.5}]}, r"parts\[0\].share must lie between"),
        ({"parts": [{}]}, r"missing field parts\[0\].share"),
        ({"parts": [[]]}, r"parts\[0\] must be an object"),
        ({"parts": {}}, "parts must be a list"),
        ({"more": 1}, "unknown field more"),
        ({"a\n\x1b[31m" * 50: 1}, r"unknown field 'a\\n\\x1b"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        build(Outer, GOOD | change)
    assert str(caught.value).isprintable()


@settings(deadline=None)
@given(VALUES)
def test_whatever_comes_is_built_or_refused(value: Any) -> None:
    for data in (value, GOOD | {"parts": value}, GOOD | {"name": value}, GOOD | {"count": value}):
        with suppress(ValueError):
            assert isinstance(build(Outer, data), Outer)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "it is not a JSON object"),
        ('"x"', "it is not a JSON object"),
        ("\ufeff{}", "BOM"),
        ('{"a": 1, "a": 1}', "it names a twice"),
        ('{"b": {"\\n": 1, "\\n": 1}}', r"it names '\\n' twice"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number"),
        ('{"a": 1e999}', "not finite"),
        ('{"a": 1' + "0" * 5000 + "}", "more than 15 digits"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"a": ' + "[" * MOST_DEPTH + "1" + "]" * MOST_DEPTH + "}", "nested too deeply"),
        ('{"a": [' + "1," * MOST_VALUES + "1]}", "more than 50000 values"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
        ('{"\\udfff": 1}', "surrogates not allowed"),
        ('{"a": "' + "a" * MOST_BYTES + '"}', "more than 1048576 bytes"),
    ],
)
def test_json_that_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        read_json(text.encode())
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="can't decode"):
        read_json(b'{"a": "\xff"}')


def test_an_object_with_many_names_is_looked_through_fast() -> None:
    """Finding the name that is there twice must not look at every pair of names."""
    names = ",".join(f'"{number}":0' for number in range(90_000))
    with pytest.raises(ValueError, match="twice"):
        read_json(f'{{{names},"0":0}}'.encode())


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=8))
def test_json_that_is_read_is_what_was_written(data: dict[str, Any]) -> None:
    with suppress(ValueError):
        assert read_json(json.dumps(data).encode()) == data


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(read_json(content), dict)
