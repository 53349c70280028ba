"""The canary: sung in every way before a bundle serves, and again when something looks broken."""

import asyncio
import logging
from collections.abc import Sequence
from typing import cast

import pytest

from service.canary import prove, trouble
from service.errors import StepFailed
from service.options import Options
from service.translation import Translation
from service.translator import Translator


class Patient:
    """A translator that says of itself what it is told to say."""

    def __init__(self, *says: str | None, fails: bool = False) -> None:
        self.says = list(says)
        self.fails = fails
        self.sung: list[Options] = []

    def trouble(self) -> str | None:
        return self.says.pop(0)

    async def translate(self, texts: Sequence[str], options: Options) -> list[Translation]:
        assert texts == ["1, 2, 3."]
        self.sung.append(options)
        if self.fails:
            raise StepFailed("the model failed")
        return []


def asked(patient: Patient) -> str | None:
    return asyncio.run(trouble(cast(Translator, patient)))


def test_who_is_well_is_not_asked_to_sing() -> None:
    patient = Patient(None)
    assert asked(patient) is None
    assert patient.sung == []


def test_who_looks_broken_may_turn_out_well() -> None:
    patient = Patient("its last steps all failed", None)
    assert asked(patient) is None
    assert len(patient.sung) == 1


def test_who_sings_and_still_looks_broken_is_broken() -> None:
    assert asked(Patient(*["1 of 2 worker threads have died"] * 2)) == (
        "1 of 2 worker threads have died"
    )


def test_who_cannot_sing_is_broken() -> None:
    patient = Patient("its last steps all failed", fails=True)
    assert asked(patient) == "its last steps all failed; the model failed"


def test_a_bundle_that_fails_at_every_step_is_broken_until_it_does_not(
    translator: Translator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """ONNX Runtime raises at each step, and then no more."""
    caplog.set_level(logging.CRITICAL)

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(translator._runner._decoder._session, "run", fail)
        for _ in range(3):
            with pytest.raises(StepFailed):
                asyncio.run(translator.translate(["The cat sees the dog."], Options()))
        found = asyncio.run(trouble(translator))
        assert found == "its last steps all failed; the model failed: out of memory"
    assert asyncio.run(trouble(translator)) is None
    assert translator.trouble() is None


def test_a_bundle_is_tried_in_every_way_of_searching(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Options] = []
    translate = translator.translate

    async def watched(texts: Sequence[str], options: Options) -> list[Translation]:
        asked.append(options)
        return await translate(texts, options)

    monkeypatch.setattr(translator, "translate", watched)
    prove(translator, 2)
    assert [(one.beam_size, one.heads, one.diagnostics) for one in asked] == [
        (1, True, True),
        (2, True, True),
    ]
