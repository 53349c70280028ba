"""JSON made into dataclasses: every field there, of its type, and within its bounds.

Nothing is known of who wrote the JSON, so all of it is bounded before it is looked at: bytes,
depth, values, and how large a number may be. What is wrong raises ValueError, in one line
that names the field. A field's bounds stand in its type:

    heads: Annotated[int, Between(1, 64)]
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import GenericAlias
from typing import Annotated, Any, NoReturn, Protocol, get_args, get_origin, get_type_hints

MOST_BYTES = 1 << 20
"""Largest JSON text, in bytes."""

MOST_VALUES = 50_000
MOST_DEPTH = 16
MOST_DIGITS = 15
"""Digits of an integer: what every reader of JSON takes for the same number."""


class Bound(Protocol):
    """What a value must keep to, beyond its type."""

    def check(self, value: Any, at: str) -> None:
        """Raise ValueError that names the field `at`."""
        ...


@dataclass(frozen=True, slots=True)
class Between:
    """A number within both ends."""

    least: float
    most: float

    def check(self, value: Any, at: str) -> None:
        """Raise ValueError for a number outside, and for NaN."""
        if not self.least <= value <= self.most:
            raise ValueError(f"{at} must lie between {self.least} and {self.most}")


@dataclass(frozen=True, slots=True)
class Like:
    """A text that a pattern matches; `what` says in words what it must be."""

    pattern: str
    what: str

    def check(self, value: Any, at: str) -> None:
        """Raise ValueError for any other text."""
        if not re.fullmatch(self.pattern, value):
            raise ValueError(f"{at} must be {self.what}")


@dataclass(frozen=True, slots=True)
class Short:
    """A text, a list or an object of at most so many characters or items."""

    most: int

    def check(self, value: Any, at: str) -> None:
        """Raise ValueError for a longer one."""
        if len(value) > self.most:
            raise ValueError(f"{at} has {len(value)} items or characters; {self.most} are allowed")


def read_json(content: bytes) -> dict[str, Any]:
    """Return a JSON object in UTF-8 whose names are unique; raises ValueError."""
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    try:
        data = json.loads(
            content.decode(),
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")
    _check_size(data)
    return data


def build(kind: type, data: object, at: str = "") -> object:
    """Make a dataclass of JSON; raises ValueError that names a wrong field."""
    if not isinstance(data, dict):
        raise ValueError(f"{at.rstrip('.') or 'the whole'} must be an object")
    hints = get_type_hints(kind, include_extras=True)
    names = [item.name for item in fields(kind)]
    for name in data:
        if name not in names:
            raise ValueError(f"unknown field {at}{_shown(name)}")
    for name in names:
        if name not in data:
            raise ValueError(f"missing field {at}{name}")
    return kind(**{name: _value(hints[name], data[name], f"{at}{name}") for name in names})


def _value(hint: Any, value: object, at: str) -> object:
    if get_origin(hint) is Annotated:
        bare, *bounds = get_args(hint)
        made = _value(bare, value, at)
        for bound in bounds:
            bound.check(made, at)
        return made
    if isinstance(hint, GenericAlias) and hint.__origin__ is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{at} must be a list")
        return tuple(_value(hint.__args__[0], item, f"{at}[{i}]") for i, item in enumerate(value))
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, f"{at}.")
    kind = getattr(hint, "__origin__", hint)
    wanted = dict if kind is Mapping else (int, float) if kind is float else kind
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise ValueError(f"{at} has the wrong type")
    return value


def _check_size(data: object) -> None:
    """Raise ValueError for what is too deep, of too many values, or no Unicode."""
    level: list[object] = [data]
    count = 0
    for _ in range(MOST_DEPTH):
        level = [inner for value in level for inner in _inside(value)]
        count += len(level)
        if count > MOST_VALUES:
            raise ValueError(f"it holds more than {MOST_VALUES} values")
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _inside(value: object) -> Iterator[object]:
    """Yield what an object or a list holds, its names too."""
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, str) and not value.isascii():
        value.encode()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"it holds a number of more than {MOST_DIGITS} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("it holds a number that is not finite")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"it names {_shown(twice)} twice in one object")
    return found


def _shown(name: str) -> str:
    """A name as a message may show it, whatever it holds."""
    return name if name.isidentifier() and len(name) <= 64 else f"{name[:64]!r}"
