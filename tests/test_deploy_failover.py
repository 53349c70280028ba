"""The verdict on a replica that was killed: what must be found wrong, and what not."""

from collections import Counter

from deploy.failover import Tally, only, verdict


def tally() -> Tally:
    """Four requests; the second was lost with the killed server."""
    return Tally(statuses={"1": 200, "2": 502, "3": 200, "4": 200}, held={"2", "3"}, killed="x")


def logs() -> dict[str, Counter[str]]:
    return {"x": Counter("12"), "y": Counter("34")}


def test_what_the_killed_server_held_may_be_lost() -> None:
    assert verdict(tally(), logs()) == []


def test_a_request_that_was_cut_before_it_was_started_may_be_lost_too() -> None:
    one = tally()
    one.statuses["5"] = 0
    one.held.add("5")
    assert verdict(one, logs()) == []


def test_a_request_done_twice_is_found() -> None:
    twice = logs()
    twice["y"]["1"] += 1
    assert verdict(tally(), twice) == ["1 requests started more than once: ['1']"]


def test_a_request_lost_elsewhere_is_found() -> None:
    one = tally()
    one.statuses["3"] = 502
    (line,) = verdict(one, logs())
    assert line.startswith("1 requests failed, though started by a server that was not killed")


def test_a_request_lost_at_another_time_is_found() -> None:
    one = tally()
    one.statuses["5"] = 503
    (line,) = verdict(one, logs())
    assert line.startswith("1 requests failed, though no replica was killed meanwhile")


def test_a_wrong_answer_is_found() -> None:
    one = tally()
    one.wrong.append("4")
    assert verdict(one, logs()) == ["1 requests answered with another text: ['4']"]


def test_an_answer_from_nowhere_is_found() -> None:
    (line,) = verdict(tally(), {"x": Counter("12"), "y": Counter("3")})
    assert line.startswith("1 requests answered, though no server says")


def test_killing_an_idle_server_proves_nothing() -> None:
    one = tally()
    one.statuses["2"] = 200
    (line,) = verdict(one, logs())
    assert line.startswith("the killed replica held nothing")


def test_only_requests_of_this_run_count() -> None:
    assert only(Counter({"1": 2, "other": 5}), {"1": 200}) == {"1": 2}
