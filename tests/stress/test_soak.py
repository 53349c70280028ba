"""Ordinary traffic, some of all that there is."""

from tests.stress.process import Process
from tests.stress.soak import KINDS, soak

SENTENCES = 300


def test_a_few_hundred_sentences_of_every_kind(server: Process) -> None:
    found = soak(server, SENTENCES)
    assert found.sentences >= SENTENCES
    assert found.requests.keys() == set(KINDS)
    assert "Traceback" not in "".join(server.lines)
