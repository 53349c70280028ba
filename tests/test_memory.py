"""Memory: what is free is given back, where the C library can be asked."""

from types import SimpleNamespace

import pytest

from service import memory


def test_the_c_library_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    library = SimpleNamespace(malloc_trim=asked.append)
    monkeypatch.setattr("ctypes.CDLL", lambda _: library)
    memory.give_back()
    assert asked == [0]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: SimpleNamespace())
    memory.give_back()


def test_it_works_here() -> None:
    memory.give_back()
