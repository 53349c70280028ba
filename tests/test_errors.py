"""The error tree: as drawn, with codes and statuses that can be relied on."""

import re
from collections.abc import Iterator

import pytest

from service import errors
from service.errors import InterlineaError, QueueFull, RequestError, Unavailable

DRAWN = re.compile(r"(\w+) +([a-z_]+) +(\d{3})$")


def family(kind: type[InterlineaError]) -> Iterator[type[InterlineaError]]:
    """An error and all that descend from it, as the drawing reads."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child)


def drawn() -> list[tuple[str, str, int]]:
    lines = (errors.__doc__ or "").splitlines()
    found = [match for line in lines if (match := DRAWN.search(line))]
    return [(match[1], match[2], int(match[3])) for match in found]


def test_the_tree_is_as_drawn() -> None:
    real = {(kind.__name__, kind.code, kind.status) for kind in family(InterlineaError)}
    assert set(drawn()) == real
    assert len(drawn()) == len(real)


def test_no_two_errors_share_a_code() -> None:
    codes = [kind.code for kind in family(InterlineaError)]
    assert len(codes) == len(set(codes))


def test_the_caller_is_to_blame_for_refused_requests_only() -> None:
    for kind in family(InterlineaError):
        assert issubclass(kind, RequestError) == (400 <= kind.status < 499)
        assert issubclass(kind, Unavailable) == (kind.status in (503, 504))


def test_an_error_carries_its_message_and_facts() -> None:
    with pytest.raises(Unavailable) as caught:
        raise QueueFull("the queue is full", {"limit": 3})
    assert str(caught.value) == caught.value.message == "the queue is full"
    assert caught.value.detail == {"limit": 3}
    assert QueueFull("the queue is full").detail is None
