"""Greedy decoding with the torch model; the yardstick for early stopping and `verify`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from model_export.model import Seq2Seq
from model_export.subwords import BOS, EOS, PAD


def pad_sources(sources: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids without `</s>` -> padded (B, S) with `</s>`, lengths (B,)."""
    lengths = torch.tensor([len(source) + 1 for source in sources])
    padded = torch.full((len(sources), int(lengths.max())), PAD)
    for row, source in enumerate(sources):
        padded[row, : len(source) + 1] = torch.tensor([*source, EOS])
    return padded, lengths


@torch.inference_mode()
def greedy(model: Seq2Seq, sources: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
    """Return the best next token at every step, up to `</s>` (left out) or `limit` tokens."""
    model.eval()
    device = model.decoder.bias.device
    source, lengths = pad_sources(sources)
    memory = model.encode(source.to(device), lengths.to(device))
    state, token = memory.first, torch.full((len(sources),), BOS, device=device)
    rows: list[Tensor] = []
    open_rows = torch.ones(len(sources), dtype=torch.bool, device=device)
    for _ in range(limit):
        step = model.step(token, state, memory)
        state, token = step.state, step.logits.argmax(-1)
        rows.append(token)
        open_rows &= token != EOS
        if not open_rows.any():
            break
    return [_until_end(row) for row in torch.stack(rows, 1).tolist()]


def translate(model: Seq2Seq, sources: Sequence[Sequence[int]]) -> list[list[int]]:
    """Greedy translations in batches of like lengths; a target is at most 2 × source + 10."""
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    out: list[list[int]] = [[] for _ in sources]
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        limits = [2 * len(sources[row]) + 10 for row in rows]
        made = greedy(model, [sources[row] for row in rows], max(limits))
        for row, tokens, limit in zip(rows, made, limits, strict=True):
            out[row] = tokens[:limit]
    return out


def _until_end(row: list[int]) -> list[int]:
    return row[: row.index(EOS)] if EOS in row else row
