"""Our own network in eager PyTorch, float32, random weights: what training code would serve."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from model_export import config
from model_export.model import Memory, Seq2Seq
from service.bundle import Special


class Eager:
    """Greedy and beam search over `Seq2Seq.step`, attention collected."""

    def __init__(
        self, sizes: Mapping[str, Any], pieces: tuple[int, int], special: Special, threads: int
    ) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        self._model = Seq2Seq(*pieces, config.Model(**sizes)).eval()
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
        state = memory.start
        token = torch.full((len(state),), self._special.bos)
        tokens, scores, cross_rows, aligned_rows = [], [], [], []
        for _ in range(length):
            logits, cross, aligned, state = self._model.step(token, state, memory)
            token = logits.argmax(-1)
            tokens.append(token)
            scores.append(logits.log_softmax(-1).gather(1, token[:, None])[:, 0])
            cross_rows.append(cross)
            aligned_rows.append(aligned)
        rows = [torch.stack(cross_rows, 1), torch.stack(aligned_rows, 1)]
        return torch.stack(tokens, 1), torch.stack(scores, 1), rows

    def _beam(self, memory: Memory, length: int, beam: int) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the same of B times `beam` hypotheses; scores are their totals (B, beam)."""
        count = len(memory.start)
        wide = Memory(
            memory.states.repeat_interleave(beam, 0),
            memory.keys.repeat_interleave(beam, 0),
            memory.mask.repeat_interleave(beam, 0),
            memory.start.repeat_interleave(beam, 0),
        )
        state, token = wide.start, torch.full((count * beam,), self._special.bos)
        totals = torch.full((count, beam), -1e9)
        totals[:, 0] = 0.0
        first = torch.arange(count)[:, None] * beam
        tokens = token[:, None][:, :0]
        rows = [wide.states[:, :0, 0, None].expand(-1, -1, wide.mask.shape[1])] * 2
        for _ in range(length):
            logits, cross, aligned, state = self._model.step(token, state, wide)
            scores = totals[:, :, None] + logits.log_softmax(-1).view(count, beam, -1)
            totals, best = scores.flatten(1).topk(beam, dim=1)
            parents = (first + best // logits.shape[1]).flatten()
            token = (best % logits.shape[1]).flatten()
            state = state[parents]
            tokens = torch.cat([tokens[parents], token[:, None]], 1)
            new = (cross, aligned)
            pairs = zip(rows, new, strict=True)
            rows = [torch.cat([old, row[:, None]], 1)[parents] for old, row in pairs]
        return tokens, totals, rows
