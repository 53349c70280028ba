from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from model_export.tables import TableError, build


@dataclass(frozen=True)
class Inner:
    size: int
    rate: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    others: Mapping[str, Inner]
    files: tuple[str, ...] = ()


def table(**changes: object) -> dict[str, object]:
    return {"name": "a", "inner": {"size": 1}, "others": {"x": {"size": 2, "rate": 1}}, **changes}


def test_tables_become_dataclasses() -> None:
    made = build(Outer, table(files=["b", "c"]), "")
    assert made == Outer("a", Inner(1), {"x": Inner(2, 1.0)}, ("b", "c"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"odd": 1}, "unknown key odd"),
        ({"inner": {}}, "missing key inner.size"),
        ({"inner": 1}, r"\[inner\] must be a table"),
        ({"inner": {"size": True}}, "inner.size must be of type int"),
        ({"inner": {"size": 1, "rate": "x"}}, "inner.rate must be of type float"),
        ({"others": {"x": {"size": 1, "odd": 2}}}, "unknown key others.x.odd"),
        ({"others": 1}, "others must be a table"),
        ({"files": [1]}, "files must be a list of strings"),
        ({"name": 1}, "name must be of type str"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(TableError, match=message):
        build(Outer, table(**changes), "")
