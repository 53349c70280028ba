"""What training minimises: cross-entropy over the vocabulary, and guided attention.

Shapes: N real target tokens of a batch, B sentences, T steps, S source tokens, V pieces.
"""

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


def sampled_cross_entropy(
    decoder: Output, features: Tensor, targets: Tensor, smoothing: float, extra: int
) -> Tensor:
    """features (N, E), targets (N,) -> mean label-smoothed loss over a sampled vocabulary."""
    pieces = decoder.bias.shape[0]
    chosen, weights = sample_pieces(targets, pieces, extra)
    logits = features @ decoder.embedding.weight[chosen].t() + (decoder.bias[chosen] + weights)
    place = torch.full((pieces,), -1, device=targets.device)
    place[chosen] = torch.arange(len(chosen), device=targets.device)
    return smoothed_cross_entropy(logits, place[targets], smoothing, weights)


def full_cross_entropy(
    decoder: Output, features: Tensor, targets: Tensor, smoothing: float
) -> Tensor:
    """features (N, E), targets (N,) -> mean label-smoothed loss over the whole vocabulary."""
    logits = decoder.logits(features)
    return torch.nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing)


def smoothed_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float, weights: Tensor
) -> Tensor:
    """Cross-entropy where column j stands for `exp(weights[j])` pieces of the vocabulary.

    logits (N, V') with the weights already added, targets (N,), weights (V',) -> scalar
    """
    total = torch.logsumexp(logits, dim=-1)  # (N,)
    chosen = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
    share = weights.exp() / weights.exp().sum()
    evenly = logits @ share - (weights * share).sum()  # mean logit over the vocabulary
    return (total - (1 - smoothing) * chosen - smoothing * evenly).mean()


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
