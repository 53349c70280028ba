"""From a folder to a translator that translates, and every failure with the bundle's name."""

import logging
from pathlib import Path

import pytest

from service import canary
from service.bundle import Bundle, digest
from service.device import HOST
from service.engine import Capacity
from service.errors import BundleError, DamagedBundle, StepFailed, UnsealedBundle
from service.opening import naming, open_folder
from service.settings import Settings
from tests.folders import place, worker_threads

CAPACITY = Capacity(workers=1, slots=4, batch_tokens=64, queue=6)


def test_a_folder_becomes_a_translator_that_has_translated(
    tmp_path: Path, toy_bundle: Bundle
) -> None:
    folder = place(toy_bundle, tmp_path)
    translator = open_folder(folder, Settings(), CAPACITY, HOST, digest(folder))
    try:
        assert translator.manifest.name == "en-fr"
        assert translator.load().tally.done == 2, "greedily, and with a beam"
    finally:
        translator.close(1.0)


def test_another_digest_than_the_one_asked_for_is_refused(
    tmp_path: Path, toy_bundle: Bundle
) -> None:
    before = worker_threads()
    with pytest.raises(DamagedBundle, match=r"^en-fr: it was changed while it was being tried"):
        open_folder(place(toy_bundle, tmp_path), Settings(), CAPACITY, HOST, "0" * 64)
    assert worker_threads() == before


def test_one_that_does_not_translate_leaves_no_thread(
    tmp_path: Path, toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StepFailed("no luck")

    monkeypatch.setattr(canary, "_sing", fail)
    before = worker_threads()
    with pytest.raises(DamagedBundle, match=r"^en-fr cannot be used: no luck"):
        open_folder(place(toy_bundle, tmp_path), Settings(), CAPACITY, HOST)
    assert worker_threads() == before


def test_a_failure_keeps_its_type_and_gets_a_name(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(UnsealedBundle, match=r"^x: no manifest") as caught, naming(Path("b/x")):
        raise UnsealedBundle("no manifest", {"more": 1})
    assert caught.value.detail == {"bundle": "x", "more": 1}
    with pytest.raises(BundleError, match=r"^x is no bundle$"), naming(Path("b/x")):
        raise BundleError("x is no bundle")
    with (
        pytest.raises(UnsealedBundle, match=r"^x\? has no manifest$") as caught,
        naming(Path("b/x\udcff")),
        naming(Path("b/x\udcff")),
    ):
        raise UnsealedBundle("x\udcff has no manifest")
    assert caught.value.detail == {"bundle": "x?"}
    with (
        pytest.raises(DamagedBundle, match=r"^x cannot be used: KeyError\('y'\)"),
        naming(Path("x")),
    ):
        raise KeyError("y")
