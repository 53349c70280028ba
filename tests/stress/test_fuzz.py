"""What should not be sent, sent all the same: a typed refusal or a clean end, and nothing else."""

from tests.stress import abuses, bodies
from tests.stress.fuzz import fuzz, grown
from tests.stress.process import Process

EXAMPLES = 150


def test_whatever_is_sent_is_answered_as_it_should_be(server: Process) -> None:
    found = fuzz(server, rounds=1, examples=EXAMPLES)
    made = len(list(bodies.made_by_hand())) + len(abuses.quick()) + len(abuses.slow())
    assert found.total >= EXAMPLES + made
    assert "Traceback" not in "".join(server.lines)


def test_growth_is_that_of_the_end_over_the_beginning() -> None:
    assert grown([900.0, 800.0, 100.0, 300.0, 110.0]) == 110 / 100 - 1
    assert grown([100.0]) == 0
