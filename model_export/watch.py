"""How attention forms while a model trains: matrices of a few pairs, and gradient norms.

What is watched goes into `watched.jsonl` of the run, a line a moment; `explain` draws it.

    {"step": 25, "pairs": [{"source": [...], "target": [...], "cross": [[...]], ...}],
     "gradients": {"cross-attention": 0.12, "alignment head": 0.03, "the rest": 1.4}}

Shapes: T target pieces with `</s>`, S source pieces with `</s>`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_export import config
from model_export.decode import pad_sources
from model_export.model import Seq2Seq
from model_export.run import Run
from model_export.subwords import BOS, EOS
from service.tokenizer import Tokenizer

FILE = "watched.jsonl"
FIRST, GROWTH = 25, 1.35
CROSS, HEAD, REST = "cross-attention", "alignment head", "the rest"


def moments(steps: int) -> set[int]:
    """Return at which steps to look: often at first, ever more seldom, and at the end."""
    found, at = {0, steps}, float(FIRST)
    while at < steps:
        found.add(round(at))
        at *= GROWTH
    return found


class Watch:
    """The pairs of a recipe that are watched, and where what is seen goes."""

    def __init__(self, run: Run) -> None:
        source, target = run.tokenizers()
        self._run = run
        self._moments = moments(run.recipe.training.steps)
        texts = (text.split(config.SEPARATOR) for text in run.recipe.training.watched)
        self._pairs = [(source.encode(s).ids, target.encode(t).ids) for s, t in texts]
        self._pieces = [(_texts(source, s), _texts(target, t)) for s, t in self._pairs]

    def forget(self) -> None:
        """Begin anew."""
        self._run.path(FILE).unlink(missing_ok=True)

    def look(self, model: Seq2Seq, step: int) -> None:
        """Write down what the model attends to and its gradients, if this is a moment to look."""
        if step in self._moments:
            self._write(model, step, gradient_norms(model))

    def look_last(self, model: Seq2Seq, step: int) -> None:
        """Write down what the model attends to in the end, when there are no gradients any more."""
        self._write(model, step, {})

    def _write(self, model: Seq2Seq, step: int, gradients: Mapping[str, float]) -> None:
        if not self._pairs:
            return
        seen = [
            {"source": left, "target": right, **attended(model, *pair)}
            for pair, (left, right) in zip(self._pairs, self._pieces, strict=True)
        ]
        line = {"step": step, "pairs": seen, "gradients": gradients}
        with self._run.path(FILE).open("a", encoding="utf-8") as out:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


@torch.no_grad()
def attended(
    model: Seq2Seq, source: tuple[int, ...], target: tuple[int, ...]
) -> dict[str, list[list[float]]]:
    """Return the attentions of a given pair, each (T, S), without dropout."""
    was_training = model.training
    model.eval()
    device = model.decoder.bias.device
    padded, lengths = pad_sources([source])
    given = torch.tensor([[BOS, *target, EOS]], device=device)
    padded, lengths = padded.to(device), lengths.to(device)
    output = model(padded, lengths, given)
    model.train(was_training)
    found: dict[str, list[list[float]]] = {}
    if output.cross is not None:
        found["cross"] = _rounded(output.cross[0, :-1])
    if output.alignment is not None:
        found["alignment"] = _rounded(torch.softmax(output.alignment[0, 1:], dim=-1))
    return found


def _rounded(rows: Tensor) -> list[list[float]]:
    return [[round(weight, 3) for weight in row] for row in rows.tolist()]


def gradient_norms(model: Seq2Seq) -> dict[str, float]:
    """Return the norm of the gradient of the attention's parameters, the head's and the rest's."""
    squares = {CROSS: 0.0, HEAD: 0.0, REST: 0.0}
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            squares[_part(name)] += float(weight.grad.float().square().sum())
    return {part: square**0.5 for part, square in squares.items()}


def _part(name: str) -> str:
    if name.startswith("head."):
        return HEAD
    return CROSS if name.startswith("decoder.attention.") or ".cross." in name else REST


def _texts(tokenizer: Tokenizer, ids: tuple[int, ...]) -> list[str]:
    decoded = tokenizer.decode(ids)
    return [*(span.of(decoded.text) for span in decoded.spans), "</s>"]


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the moments that a run has written down, the last word of each step."""
    lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    by_step = {moment["step"]: moment for moment in map(json.loads, lines)}
    yield from (by_step[step] for step in sorted(by_step))
