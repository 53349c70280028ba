"""Cross-entropy over sampled and whole vocabularies, and guided attention."""

import math

import pytest
import torch
from torch import Tensor

from model_export.decoders import Output
from model_export.loss import (
    Predicted,
    cross_entropy,
    divergence,
    guided_loss,
    guided_score_loss,
    over_a_sample,
    over_all,
    sample_pieces,
)
from tests.architectures import network

PIECES = 60
SIZES = network("lstm", "gru", "general")


@pytest.fixture
def decoder() -> Output:
    torch.set_num_threads(1)
    torch.manual_seed(4)
    made = Output(PIECES, SIZES)
    torch.nn.init.normal_(made.embedding.weight, std=0.4)
    torch.nn.init.normal_(made.bias, std=0.5)
    return made


def batch() -> tuple[Tensor, Tensor]:
    """Features (9, E) and targets (9,), some twice."""
    features = torch.tanh(torch.randn(9, SIZES.decoder.embedding))
    return features, torch.tensor([7, 1, 5, 9, 2, 59, 0, 1, 30])


def test_a_sample_holds_every_target_once_and_the_extra() -> None:
    _, targets = batch()
    for seed in range(20):
        torch.manual_seed(seed)
        chosen, weights = sample_pieces(targets, PIECES, 10)
        pieces = chosen.tolist()
        assert set(targets.tolist()) <= set(pieces)
        assert len(pieces) == len(set(pieces)) == len(weights) == 8 + 10
        assert set(pieces) <= set(range(PIECES))
        inside = torch.isin(chosen, targets)
        assert not weights[inside].any()
        # Ten of the 52 others were drawn: each stands for 5.2 of them.
        assert weights[~inside].exp().allclose(torch.tensor(52 / 10))
        assert weights.exp().sum().item() == pytest.approx(PIECES, rel=1e-6)


def test_samples_differ_and_reach_every_piece() -> None:
    torch.manual_seed(0)
    _, targets = batch()
    seen = [frozenset(sample_pieces(targets, PIECES, 10)[0].tolist()) for _ in range(60)]
    assert len(set(seen)) > 50
    assert frozenset().union(*seen) == set(range(PIECES))


def test_a_sample_may_be_of_targets_alone_or_of_everything() -> None:
    _, targets = batch()
    chosen, weights = sample_pieces(targets, PIECES, 0)
    assert sorted(chosen.tolist()) == sorted(set(targets.tolist()))
    assert not weights.any()
    chosen, weights = sample_pieces(targets, PIECES, 10 * PIECES)
    assert sorted(chosen.tolist()) == list(range(PIECES))
    assert not weights.any()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_sampling_every_piece_is_the_full_loss(decoder: Output, smoothing: float) -> None:
    features, targets = batch()
    full = cross_entropy(over_all(decoder, features, targets), smoothing)
    sampled = cross_entropy(over_a_sample(decoder, features, targets, PIECES), smoothing)
    assert sampled.item() == pytest.approx(full.item(), rel=1e-5)


def test_the_full_loss_is_the_smoothed_cross_entropy_by_hand(decoder: Output) -> None:
    features, targets = batch()
    logs = torch.log_softmax(decoder.logits(features), dim=-1)
    mean = sum(
        -(0.9 * logs[row, target] + 0.1 * logs[row].mean())
        for row, target in enumerate(targets.tolist())
    ) / len(targets)
    full = cross_entropy(over_all(decoder, features, targets), 0.1)
    assert full.allclose(torch.as_tensor(mean), rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_sampled_loss_estimates_the_full_one(decoder: Output, smoothing: float) -> None:
    features, targets = batch()
    full = cross_entropy(over_all(decoder, features, targets), smoothing).item()
    with torch.no_grad():
        losses = [
            cross_entropy(over_a_sample(decoder, features, targets, 15), smoothing).item()
            for _ in range(300)
        ]
    assert max(losses) > full > min(losses), "single samples lie on both sides"
    assert sum(losses) / len(losses) == pytest.approx(full, rel=0.01)


def test_the_sampled_gradient_points_where_the_full_one_does(decoder: Output) -> None:
    features, targets = batch()
    weight = decoder.embedding.weight
    (full,) = torch.autograd.grad(cross_entropy(over_all(decoder, features, targets), 0.1), weight)
    mean = torch.zeros_like(full)
    for _ in range(200):
        loss = cross_entropy(over_a_sample(decoder, features, targets, 15), 0.1)
        mean += torch.autograd.grad(loss, weight)[0] / 200
    cosine = torch.nn.functional.cosine_similarity(mean.flatten(), full.flatten(), dim=0)
    assert cosine > 0.98


def test_a_weighted_column_counts_as_so_many_pieces() -> None:
    logits, targets = torch.tensor([[1.0, 2.0, -1.0]]), torch.tensor([1])
    copies = torch.tensor([[1.0, 2.0, -1.0, -1.0, -1.0, -1.0]])  # the last column, four times
    weights = torch.tensor([0.0, 0.0, math.log(4)])
    weighted = cross_entropy(Predicted(logits + weights, targets, weights), 0.3)
    plain = torch.nn.functional.cross_entropy(copies, targets, label_smoothing=0.3)
    assert weighted.item() == pytest.approx(plain.item(), rel=1e-5)


def test_the_divergence_of_two_readings_by_hand() -> None:
    one, other = [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]
    logits = torch.tensor([one, [0.1, 0.1, 0.8], other, [0.1, 0.1, 0.8]]).log() + 3.0
    there = sum(p * math.log(p / q) for p, q in zip(one, other, strict=True))
    back = sum(q * math.log(q / p) for p, q in zip(one, other, strict=True))
    found = divergence(Predicted(logits, torch.zeros(4).long(), torch.zeros(3)))
    assert found.item() == pytest.approx((there + back) / 2 / 2, rel=1e-5)  # of two tokens


def test_a_column_of_many_pieces_diverges_as_they_would_together() -> None:
    logits, weights = torch.randn(6, 3), torch.tensor([0.0, 0.0, math.log(4)])
    copies = torch.cat([logits, logits[:, 2:].expand(6, 3)], dim=1)
    targets = torch.zeros(6).long()
    weighted = divergence(Predicted(logits + weights, targets, weights))
    plain = divergence(Predicted(copies, targets, torch.zeros(6)))
    assert weighted.item() == pytest.approx(plain.item(), rel=1e-5)


def test_guided_loss_by_hand() -> None:
    rows = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [1.0, 0.0, 0.0]]])
    links = torch.tensor([[[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    first = -(0.5 * math.log(0.5) + 0.5 * math.log(0.25))
    assert guided_loss(rows[:, :1], links[:, :1]).item() == pytest.approx(first, rel=1e-5)
    third = -math.log(1e-6)  # a weight of zero costs much, not infinitely much
    assert guided_loss(rows, links).item() == pytest.approx((first + third) / 2, rel=1e-5)


def test_guided_score_loss_by_hand() -> None:
    scores = torch.tensor([[[1.0, 2.0, 50.0], [3.0, 1.0, -9.0]], [[1.0, 0.0, 2.0], [0.0] * 3]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    links = torch.tensor([[[0.0, 1.0, 0.0], [0.0] * 3], [[0.5, 0.0, 0.5], [0.0] * 3]])
    one = -math.log(math.exp(2) / (math.exp(1) + math.exp(2)))
    total = math.log(math.exp(1) + 1 + math.exp(2))
    two = -(0.5 * (1 - total) + 0.5 * (2 - total))
    found = guided_score_loss(scores, mask, links).item()
    assert found == pytest.approx((one + two) / 2, rel=1e-5)


def test_both_guided_losses_say_the_same_of_the_same_rows() -> None:
    torch.manual_seed(0)
    scores, mask = torch.randn(2, 3, 4), torch.ones(2, 4, dtype=torch.bool)
    links = torch.zeros(2, 3, 4)
    links[0, 1, 2] = links[1, 0, 3] = 1.0
    from_rows = guided_loss(scores.softmax(-1), links)
    assert guided_score_loss(scores, mask, links).allclose(from_rows, rtol=1e-5)


def test_rows_without_links_contribute_nothing() -> None:
    torch.manual_seed(0)
    scores = torch.randn(2, 3, 4, requires_grad=True)
    mask = torch.ones(2, 4, dtype=torch.bool)
    links = torch.zeros(2, 3, 4)
    assert guided_loss(scores.softmax(-1), links).item() == 0.0
    assert guided_score_loss(scores, mask, links).item() == 0.0
    links[0, 1, 2] = 1.0
    for loss in (guided_loss(scores.softmax(-1), links), guided_score_loss(scores, mask, links)):
        (gradient,) = torch.autograd.grad(loss, scores)
        touched = gradient.abs().sum(-1) > 0
        assert touched.nonzero().tolist() == [[0, 1]]
