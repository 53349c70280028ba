"""What training minimises: cross-entropy, how far two readings differ, and guided attention.

Shapes: N real target tokens of a batch, B sentences, T steps, S source tokens, V pieces.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model_export.attention import MASKED
from model_export.decoders import Output


def sample_pieces(targets: Tensor, pieces: int, extra: int) -> tuple[Tensor, Tensor]:
    """Return a vocabulary for one batch and its log importance weights, (V',) each.

    Every piece of the batch, and `extra` others drawn evenly; each of those stands for
    all that were not drawn (Jean et al. 2015). The softmax over it estimates the full one.
    """
    inside = torch.zeros(pieces, dtype=torch.bool)
    inside[targets] = True
    outside = torch.nonzero(~inside).squeeze(1)
    drawn = outside[torch.randperm(len(outside))[:extra]]
    chosen = torch.cat([torch.nonzero(inside).squeeze(1), drawn])
    weights = torch.zeros(len(chosen))
    if len(drawn):
        weights[-len(drawn) :] = torch.log(torch.tensor(len(outside) / len(drawn)))
    return chosen.to(targets.device), weights.to(targets.device)


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model says of N target tokens; column j stands for `exp(weights[j])` pieces."""

    logits: Tensor  # (N, V'), the weights added
    targets: Tensor  # (N,) columns
    weights: Tensor  # (V',)


def over_a_sample(decoder: Output, features: Tensor, targets: Tensor, extra: int) -> Predicted:
    """features (N, E), targets (N,) -> what is said over the vocabulary of `sample_pieces`."""
    pieces = decoder.bias.shape[0]
    chosen, weights = sample_pieces(targets, pieces, extra)
    logits = features @ decoder.embedding.weight[chosen].t() + (decoder.bias[chosen] + weights)
    place = torch.full((pieces,), -1, device=targets.device)
    place[chosen] = torch.arange(len(chosen), device=targets.device)
    return Predicted(logits, place[targets], weights)


def over_all(decoder: Output, features: Tensor, targets: Tensor) -> Predicted:
    """features (N, E), targets (N,) -> what is said over the whole vocabulary."""
    return Predicted(decoder.logits(features), targets, torch.zeros_like(decoder.bias))


def cross_entropy(predicted: Predicted, smoothing: float) -> Tensor:
    """Mean label-smoothed cross-entropy, the smoothing spread evenly over all pieces."""
    logits, weights = predicted.logits, predicted.weights
    total = torch.logsumexp(logits, dim=-1)  # (N,)
    chosen = logits.gather(1, predicted.targets.unsqueeze(1)).squeeze(1)
    share = weights.exp() / weights.exp().sum()
    evenly = logits @ share - (weights * share).sum()  # mean over the pieces
    return (total - (1 - smoothing) * chosen - smoothing * evenly).mean()


def divergence(predicted: Predicted) -> Tensor:
    """Mean over N / 2 tokens of how far two readings of them differ; the second half is the other.

    Half the sum of both Kullback-Leibler divergences, in nats (R-Drop, Wu et al. 2021).
    """
    one, other = torch.log_softmax(predicted.logits, dim=-1).chunk(2)
    return 0.5 * ((one.exp() - other.exp()) * (one - other)).sum(-1).mean()


def guided_loss(rows: Tensor, links: Tensor) -> Tensor:
    """Mean cross-entropy of attention rows against links, over the rows that have links.

    rows, links (B, T, S); a row of zeros in `links` says nothing (Chen et al. 2016).
    """
    known = links.sum(-1)
    loss = -(links * torch.log(rows.clamp_min(1e-6))).sum()
    return loss / known.sum().clamp_min(1.0)


def guided_score_loss(scores: Tensor, mask: Tensor, links: Tensor) -> Tensor:
    """As `guided_loss`, from scores (B, T, S) before the softmax and a mask (B, S)."""
    logs = torch.log_softmax(scores.masked_fill(~mask.unsqueeze(1), MASKED), dim=-1)
    return -(links * logs).sum() / links.sum().clamp_min(1.0)
