"""Greedy decoding: stopping, limits, and no trace of batch-mates."""

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from model_export import decode
from model_export.decoders import State
from model_export.model import Memory, Seq2Seq, Step
from model_export.subwords import BOS, EOS, PAD
from tests.architectures import ARCHITECTURES, lively, network

SIZES = network("lstm", "gru", "general", layers=2, top=12)


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> Seq2Seq:
    made = lively(ARCHITECTURES[request.param], seed=3)
    torch.nn.init.zeros_(made.decoder.bias)  # sources are to tell what is said
    for embedding in (made.encoder.embedding, made.decoder.embedding):
        torch.nn.init.normal_(embedding.weight, std=2.0)
    return made


class Copier(Seq2Seq):
    """Says the first source token as often as its id modulo ten, then `</s>`."""

    def __init__(self) -> None:
        super().__init__(100, 100, SIZES)

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        first = source[:, :1].float()
        return Memory(first, source != PAD, [], None, {"said": torch.zeros(len(source), 1)})

    def step(self, token: Tensor, state: State, memory: Memory) -> Step:
        first = memory.states[:, 0].long()
        over = state["said"][:, 0] >= first % 10
        said = torch.where(over, EOS, first)
        logits = torch.nn.functional.one_hot(said, 100).float()
        return Step(logits, None, None, {"said": state["said"] + 1})


SOURCES: Sequence[Sequence[int]] = [[5, 6, 7, 8], [9], [10, 11, 12, 13, 14, 15, 16], [17, 18]]


def test_sources_are_padded_after_their_end() -> None:
    padded, lengths = decode.pad_sources([[7, 8], [9], []])
    assert padded.tolist() == [[7, 8, EOS], [9, EOS, PAD], [EOS, PAD, PAD]]
    assert lengths.tolist() == [3, 2, 1]


def test_a_target_ends_before_its_end_token() -> None:
    assert decode.greedy(Copier(), [[23], [50], [41]], 9) == [[23] * 3, [], [41]]


def test_a_target_is_cut_at_the_limit() -> None:
    assert decode.greedy(Copier(), [[29], [42]], 4) == [[29] * 4, [42] * 2]


def test_greedy_takes_the_best_token_of_every_step(model: Seq2Seq) -> None:
    (tokens,) = decode.greedy(model, SOURCES[:1], 8)
    padded, lengths = decode.pad_sources(SOURCES[:1])
    with torch.no_grad():
        output = model.eval()(padded, lengths, torch.tensor([[BOS, *tokens]]))
        best = model.decoder.logits(output.features)[0].argmax(-1).tolist()
    assert tokens == best[: len(tokens)]
    assert len(tokens) == 8 or best[len(tokens)] == EOS


def test_company_does_not_show(model: Seq2Seq) -> None:
    alone = [decode.greedy(model, [source], 12)[0] for source in SOURCES]
    assert decode.greedy(model, SOURCES, 12) == alone
    assert len({tuple(tokens) for tokens in alone}) > 1


def test_decoding_is_without_dropout_and_gradient(model: Seq2Seq) -> None:
    model.train()
    first = decode.greedy(model, SOURCES, 12)
    assert not model.training
    assert all(decode.greedy(model.train(), SOURCES, 12) == first for _ in range(5))
    assert all(weight.grad is None for weight in model.parameters())


def test_translations_come_in_the_order_of_their_sources() -> None:
    sources = [[20 + n % 10] * (1 + n % 7) for n in range(150)]  # more than two batches
    expected = [[20 + n % 10] * (n % 10) for n in range(150)]
    assert decode.translate(Copier(), sources) == expected


def test_a_translation_is_at_most_twice_its_source_and_ten() -> None:
    class Endless(Copier):
        def step(self, token: Tensor, state: State, memory: Memory) -> Step:
            return dataclasses.replace(super().step(token, state, memory), state=state)

    lengths = [len(tokens) for tokens in decode.translate(Endless(), [[29], [29] * 30, []])]
    assert lengths == [12, 70, 0]
