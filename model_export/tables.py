"""Frozen dataclasses made of TOML tables: every key is known, there, and of its type."""

import dataclasses
import types
import typing
from collections.abc import Mapping


class TableError(ValueError):
    """A key is unknown, missing or of a wrong type."""


def build(kind: type, table: object, at: str) -> object:
    """Make a dataclass of a table found at `at`; raises `TableError` that names a wrong key."""
    if not isinstance(table, dict):
        raise TableError(f"[{at}] must be a table")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise TableError(f"unknown key {_join(at, unknown[0])}")
    optional = {
        field.name
        for field in dataclasses.fields(kind)
        if (field.default, field.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
    }
    missing = [name for name in hints if name not in table and name not in optional]
    if missing:
        raise TableError(f"missing key {_join(at, missing[0])}")
    return kind(
        **{
            name: _value(hint, table[name], _join(at, name))
            for name, hint in hints.items()
            if name in table
        }
    )


def _value(hint: object, value: object, at: str) -> object:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, at)
    if isinstance(hint, types.GenericAlias) and hint.__origin__ is Mapping:
        if not isinstance(value, dict):
            raise TableError(f"{at} must be a table")
        return {key: _value(hint.__args__[1], item, _join(at, key)) for key, item in value.items()}
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise TableError(f"{at} must be a list of strings")
        return tuple(value)
    if hint is float and type(value) is int:
        return float(value)
    if not isinstance(hint, type) or type(value) is not hint:
        raise TableError(f"{at} must be of type {getattr(hint, '__name__', hint)}")
    return value


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
