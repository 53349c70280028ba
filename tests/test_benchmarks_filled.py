"""A Transformer filled into CTranslate2 says what it says here, token by token."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from model_export import config
from model_export.decode import greedy
from model_export.model import Seq2Seq
from model_export.subwords import BOS, EOS
from tests.architectures import FIRST_WORD, PIECES, lively, network

pytest.importorskip("ctranslate2")

import ctranslate2

from benchmarks import filled

LENGTHS = (4, 1, 9, 30, 17, 2)
LIMIT = 40
KINDS = pytest.mark.parametrize(("heads", "layers"), [(4, (3, 2)), (2, (1, 1)), (1, (2, 1))])


def sizes(heads: int, layers: tuple[int, int]) -> config.Model:
    """A Transformer with as many heads everywhere, for the library knows no other."""
    small = network("transformer", "transformer", "multi-head", heads=heads, alignment_head=0)
    return dataclasses.replace(
        small,
        encoder=dataclasses.replace(small.encoder, heads=heads, layers=layers[0]),
        decoder=dataclasses.replace(small.decoder, heads=heads, layers=layers[1]),
    )


def sources() -> list[list[int]]:
    """Sentences without `</s>`; one has an unknown piece."""
    random = torch.Generator().manual_seed(5)
    words = [torch.randint(FIRST_WORD, PIECES, (n,), generator=random).tolist() for n in LENGTHS]
    words[0][1] = 1
    return words


def talker(about: config.Model, seed: int) -> Seq2Seq:
    """A network that comes to an end now and then."""
    model = lively(about, seed)
    with torch.no_grad():
        model.decoder.bias[EOS] += 2.0
    return model


def served(model: Seq2Seq, folder: Path) -> Any:
    filled.save(model, folder / "filled")
    return ctranslate2.Translator(
        str(folder / "filled"), compute_type="float32", inter_threads=1, intra_threads=1
    )


@torch.inference_mode()
def scores(model: Seq2Seq, source: list[int], target: list[int]) -> list[float]:
    """Return the log-probability of every token of a target, `</s>` included."""
    given = [*target, EOS]
    read = torch.tensor([[BOS, *target]])
    output = model(torch.tensor([[*source, EOS]]), torch.tensor([len(source) + 1]), read)
    logs = torch.log_softmax(model.decoder.logits(output.features), dim=-1)[0]
    found: list[float] = logs[range(len(given)), given].tolist()
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
@KINDS
def test_greedy_search_finds_the_same_tokens(
    tmp_path: Path, seed: int, heads: int, layers: tuple[int, int]
) -> None:
    model = talker(sizes(heads, layers), seed)
    spelled = [filled.spell([*source, EOS]) for source in sources()]
    made = served(model, tmp_path).translate_batch(
        spelled, beam_size=1, min_decoding_length=0, max_decoding_length=LIMIT
    )
    assert [filled.read(one.hypotheses[0]) for one in made] == greedy(model, sources(), LIMIT)


@KINDS
def test_given_targets_have_the_same_probabilities(
    tmp_path: Path, heads: int, layers: tuple[int, int]
) -> None:
    model = talker(sizes(heads, layers), seed=1)
    given = [[*source[::-1], 7, 1] for source in sources()]
    spelled = [filled.spell([*source, EOS]) for source in sources()]
    scored = served(model, tmp_path).score_batch(spelled, list(map(filled.spell, given)))
    for source, target, one in zip(sources(), given, scored, strict=True):
        assert one.log_probs == pytest.approx(scores(model, source, target), abs=1e-4)


def test_some_sentences_end_and_some_are_cut() -> None:
    """Or the tests above would compare less than they seem to."""
    lengths = []
    for seed in (1, 2, 3):
        model = talker(sizes(4, (3, 2)), seed)
        lengths += [len(target) for target in greedy(model, sources(), LIMIT)]
    assert min(lengths) < LIMIT
    assert max(lengths) == LIMIT
    assert len(set(lengths)) > 3


def test_pieces_are_spelled_and_read_back() -> None:
    assert filled.spell([5, 1, 3, 0, 2]) == ["t5", "<unk>", "</s>", "<blank>", "<s>"]
    assert filled.read(filled.spell(range(20))) == list(range(20))
    assert filled.names(6) == ["<blank>", "<unk>", "<s>", "</s>", "t4", "t5"]


def test_a_network_of_another_kind_is_not_filled(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        filled.save(lively(network("gru", "transformer", "multi-head")), tmp_path)
    with pytest.raises(AssertionError):
        filled.save(lively(network("transformer", "gru", "general")), tmp_path)
