"""More than the server can do: as many as it holds are served, and the others are told at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.stress import faults, overload
from tests.stress.conftest import QUEUE, Faulty
from tests.stress.overload import QUEUE as QUEUED
from tests.stress.overload import RUNNING
from tests.stress.wire import post

REQUESTS = 60
ARRIVALS, SECONDS = 60.0, 3.0


def test_beyond_the_queue_nobody_waits(faulty: Faulty) -> None:
    """Nothing gets on, so exactly as many as the queue holds are taken."""
    process = faulty.process
    sent = post("/translate", {"text": faults.SENTENCE})
    with ThreadPoolExecutor(QUEUE) as pool:
        with faults.held(process):
            taken = [pool.submit(faults.code, process.port, sent) for _ in range(QUEUE)]
            process.asked_until(lambda found: found[QUEUED] + found[RUNNING] == QUEUE)
            refused = faults.outcomes(process.port, [sent] * REQUESTS)
            assert refused == Counter({"queue_full": REQUESTS})
            assert not any(one.done() for one in taken)
            found = process.figures()
            assert found[QUEUED] + found[RUNNING] == QUEUE
        assert [one.result() for one in taken] == ["ok"] * QUEUE
    faults.whole(process)


def test_a_deadline_holds_where_nothing_gets_on(faulty: Faulty) -> None:
    process = faulty.process
    sent = post("/translate", {"text": faults.SENTENCE, "timeout": 0.2})
    with faults.held(process):
        found = faults.outcomes(process.port, [sent] * (QUEUE // 2))
    assert found == Counter({"deadline_exceeded": QUEUE // 2})
    faults.whole(process)


def test_arrivals_that_wait_for_nobody(faulty: Faulty) -> None:
    found = overload.offer(faulty.process, ARRIVALS, SECONDS, timeout=None)
    assert found.total == len(found.late) > ARRIVALS
    assert found.unsent == 0
    assert len(found.seconds["ok"]) >= QUEUE
    assert max(found.pending) <= QUEUE
    faults.whole(faulty.process)
