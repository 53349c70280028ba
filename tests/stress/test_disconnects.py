"""Clients that leave before they have what they asked for."""

from tests.stress.disconnects import leave
from tests.stress.process import Process

CLIENTS = 200


def test_whoever_leaves_leaves_nothing_behind(server: Process) -> None:
    left = leave(server, CLIENTS)
    assert left.begun > CLIENTS / 2
    assert CLIENTS >= left.cancelled > CLIENTS / 10, "a client that is slow may find all of it done"
    assert left.steps[0] == left.steps[1], "a full batch has all rows that it had"
    assert "Traceback" not in "".join(server.lines)
