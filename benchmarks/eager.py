"""Our own network in eager PyTorch, float32, random weights: what training code would serve."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from model_export.attention import Prepared
from model_export.model import Memory, Seq2Seq, Step
from model_export.recipe import model_of
from service.manifest import Special


class Eager:
    """Greedy and beam search over `Seq2Seq.step`, attention collected."""

    def __init__(
        self, sizes: Mapping[str, Any], pieces: tuple[int, int], special: Special, threads: int
    ) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        self._model = Seq2Seq(*pieces, model_of(sizes)).eval()
        self._special = special

    @torch.inference_mode()
    def fixed(self, sources: Sequence[Sequence[int]], length: int, beam: int) -> None:
        """Decode exactly `length` tokens of sources of one length, ids with `</s>` last."""
        source = torch.tensor(sources)
        memory = self._model.encode(source, torch.full((len(sources),), source.shape[1]))
        tokens, scores, rows = (
            self._greedy(memory, length) if beam == 1 else self._beam(memory, length, beam)
        )
        assert tokens.shape == (len(sources) * beam, length)
        assert scores.isfinite().all()
        assert all(kind.shape == (*tokens.shape, source.shape[1]) for kind in rows)

    def _greedy(self, memory: Memory, length: int) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return tokens (B, T), log-probabilities (B, T), attentions (B, T, S)."""
        state = memory.first
        token = torch.full((len(memory.mask),), self._special.bos)
        tokens, scores, kinds = [], [], []
        for _ in range(length):
            step = self._model.step(token, state, memory)
            state, token = step.state, step.logits.argmax(-1)
            tokens.append(token)
            scores.append(step.logits.log_softmax(-1).gather(1, token[:, None])[:, 0])
            kinds.append(_rows(step))
        rows = [torch.stack(one, 1) for one in zip(*kinds, strict=True)]
        return torch.stack(tokens, 1), torch.stack(scores, 1), rows

    def _beam(self, memory: Memory, length: int, beam: int) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the same of B times `beam` hypotheses; scores are their totals (B, beam)."""
        count = len(memory.mask)
        wide = _widened(memory, beam)
        state, token = wide.first, torch.full((count * beam,), self._special.bos)
        totals = torch.full((count, beam), -1e9)
        totals[:, 0] = 0.0
        first = torch.arange(count)[:, None] * beam
        tokens = token[:, None][:, :0]
        rows: list[Tensor] | None = None
        for _ in range(length):
            step = self._model.step(token, state, wide)
            scores = totals[:, :, None] + step.logits.log_softmax(-1).view(count, beam, -1)
            totals, best = scores.flatten(1).topk(beam, dim=1)
            parents = (first + best // step.logits.shape[1]).flatten()
            token = (best % step.logits.shape[1]).flatten()
            state = {name: part[parents] for name, part in step.state.items()}
            tokens = torch.cat([tokens[parents], token[:, None]], 1)
            new = [row[:, None] for row in _rows(step)]
            grown = [torch.cat(pair, 1) for pair in zip(rows, new, strict=True)] if rows else new
            rows = [row[parents] for row in grown]
        return tokens, totals, rows or []


def _rows(step: Step) -> list[Tensor]:
    """Return the attentions of a step, each (B, S)."""
    cross = [] if step.cross is None else [step.cross.mean(1)]
    return cross if step.alignment is None else [*cross, step.alignment]


def _widened(memory: Memory, beam: int) -> Memory:
    """Return a memory of `beam` rows for each of its own."""

    def wide(values: Tensor) -> Tensor:
        return values.repeat_interleave(beam, 0)

    return Memory(
        wide(memory.states),
        wide(memory.mask),
        [Prepared(*map(wide, prepared)) for prepared in memory.looked],
        None if memory.keys is None else wide(memory.keys),
        {name: wide(part) for name, part in memory.first.items()},
    )
