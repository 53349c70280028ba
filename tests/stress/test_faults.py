"""What breaks under a running server: whoever asked is told, it is logged, and it goes on."""

import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from service.keys import KeyStore, Terms, month_of
from tests.conftest import SHIPPED
from tests.stress import disconnects, faults
from tests.stress.conftest import Faulty
from tests.stress.process import Process
from tests.stress.wire import post, request

SENT = post("/translate", {"text": faults.SENTENCE})
TOGETHER = [SENT] * 6


@pytest.mark.parametrize(
    ("fault", "logged"),
    [
        ("step raise 1", "Broken: "),
        ("step memory 1", "MemoryError"),
        ("step nan 1", "not finite"),
        ("encoder raise 1", "Broken: "),
        ("encoder nan 1", "not finite"),
        ("step die 1", "a worker thread died"),
        ("encoder die 1", "a worker thread died"),
    ],
)
def test_a_fault_is_told_to_those_on_board_only(faulty: Faulty, fault: str, logged: str) -> None:
    process = faulty.process
    said = len(process.lines)
    faults.tell(process, fault)
    found = faults.outcomes(process.port, TOGETHER)
    assert found.keys() <= {"ok", "step_failed"}
    assert found["step_failed"] >= 1
    process.said(logged, said)
    faults.whole(process)


def test_threads_may_die_again_and_again(faulty: Faulty) -> None:
    assert faults.deaths(faulty.process, 3)["step_failed"] >= 3


@pytest.mark.parametrize("fault", ["step raise 1", "step nan 1", "step die 1"])
def test_a_stream_that_was_begun_ends_with_the_error(faulty: Faulty, fault: str) -> None:
    event, told = faults.stream_broken_by(faulty.process, f"{fault[:-1]}2")
    assert (event, told["error"]["code"]) == ("error", "step_failed")
    faults.whole(faulty.process)


def test_a_runtime_that_always_fails_makes_it_unready(faulty: Faulty) -> None:
    process = faulty.process
    faults.tell(process, "step raise 4")
    assert [faults.code(process.port, SENT) for _ in range(3)] == ["step_failed"] * 3
    ready = request("GET", "/health/ready")
    assert faults.code(process.port, ready) == "unavailable"
    assert faults.code(process.port, ready) == "ok", "the next canary sang"
    faults.whole(process)


def test_a_bundle_that_is_gone_is_served_on(faulty: Faulty) -> None:
    """From memory; a reload says what is wrong, and changes nothing, until it is put back."""
    process, folder, reload = faulty.process, faulty.bundle, request("POST", "/models/reload")
    for file in folder.iterdir():
        file.unlink()
    assert faults.code(process.port, SENT) == "ok"
    assert faults.code(process.port, reload) == "unsealed_bundle"
    faults.whole(process)
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    (folder / "decoder.onnx").write_bytes(b"not the same")
    faults.whole(process)
    shutil.rmtree(folder)
    assert faults.code(process.port, SENT) == "ok"
    shutil.copytree(SHIPPED, folder)
    assert faults.code(process.port, reload) == "ok"
    faults.whole(process)


def test_a_full_disk_keeps_nobody_out_and_forgets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.db"
    with KeyStore(file) as store:
        secret = store.create("reader", Terms(), time.time()).secret
    key = {"Authorization": f"Bearer {secret}"}
    sent = post("/translate", {"text": faults.SENTENCE}, key)
    with Process({**disconnects.SETTINGS, "KEYS": str(file)}) as process:
        with faults.full_disk(process):
            assert faults.outcomes(process.port, [sent] * 6) == Counter({"ok": 6})
            process.said("known keys go on, and what they use is kept here")
            assert faults.outcomes(process.port, [sent] * 6) == Counter({"ok": 6})
        process.said("can be used again")
        assert faults.code(process.port, SENT) == "unauthorized"
    with KeyStore(file) as store:
        (standing,) = store.standings(month_of(time.time())).values()
    assert standing.requests == 12
    assert standing.characters == 12 * len(faults.SENTENCE)
