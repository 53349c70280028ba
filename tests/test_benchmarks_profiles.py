import threading
import time

from benchmarks import profiles
from service import slots


def test_own_time_leaves_out_what_is_timed_within() -> None:
    profile = profiles.Profile()
    inner = profiles.Timed(profile.clock, "slots.inner")(lambda: time.sleep(0.02))
    outer = profiles.Timed(profile.clock, "slots.outer")(inner)
    thread = threading.Thread(target=outer)
    thread.start()
    thread.join()
    seconds = profile.seconds()
    assert list(seconds) == ["slots.inner", "slots.outer"]
    assert seconds["slots.inner"] >= 0.02
    assert profiles.rooms(seconds) == {"slots": sum(seconds.values())}


def test_functions_are_timed_within_the_block_and_as_before_after_it() -> None:
    method = slots.Slots.gather
    with profiles.profiled() as profile:
        assert slots.Slots.gather is not method
        thread = threading.Thread(target=lambda: slots.Slots(1).gather())
        thread.start()
        thread.join()
        assert "slots.Slots.gather" in profile.seconds()
        slots.Slots(1).gather()  # the main thread is nobody's worker
        profile.clear()
        assert not profile.seconds()
    assert slots.Slots.gather is method
