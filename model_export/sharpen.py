"""The alignment head alone, trained on while the rest of the network stays as it is.

What a translation says cannot change, so the head may see other data and other links than the
network did: links that two directions merged more boldly find more words, and texts of every
kind make it surer. The head is small, so this takes minutes.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from model_export import checkpoint, loss
from model_export.config import Sharpening
from model_export.corpus import Batch, Encoded, batches, collate
from model_export.model import Seq2Seq
from model_export.run import Run, load_corpus, load_ragged
from model_export.subwords import BOS, EOS, PAD
from model_export.train import learning_rate, load_model

FILE, AGREED = "sharpening.npz", "agreed.npz"
"""The links that the head learns from here, in the run's folder: the aligner's, or two heads'."""

REPORT_EVERY = 100
Report = Callable[[str], None]


class SharpenError(Exception):
    """There is no head to sharpen."""


def sharpen(run: Run, device: torch.device, report: Report) -> None:
    """Train the head of the run's best weights, which are kept and replaced; `SharpenError`.

    Weights that were sharpened before are not sharpened twice: it begins with those before.
    """
    options = run.recipe.sharpening
    model = load_model(run, run.before_sharpening()).to(device)
    if model.head is None:
        raise SharpenError("the model has no alignment head")
    model.requires_grad_(False)
    model.head.requires_grad_(True)
    optimizer = torch.optim.AdamW(model.head.parameters(), lr=options.learning_rate)
    schedule = replace(
        run.recipe.training,
        steps=options.steps,
        warmup=options.warmup,
        learning_rate=options.learning_rate,
    )
    total = 0.0
    for step, batch in enumerate(_batches(run, options), 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step - 1, schedule)
        found = _loss(model, batch, device)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward([found])
        optimizer.step()
        total += float(found.detach())
        if step % REPORT_EVERY == 0:
            report(f"step {step}: loss {total / REPORT_EVERY:.4f}")
            total = 0.0
    if not run.unsharpened.is_file():
        checkpoint.copy(run.best, run.unsharpened)
    checkpoint.save(run.best, {"model": model.state_dict()})


def _batches(run: Run, options: Sharpening) -> Iterator[Batch]:
    """Yield as many batches as there are steps, of pairs drawn more evenly than in training.

    Pairs without links are left out, since they teach nothing.
    """
    pairs, schedule = load_corpus(run), run.recipe.training
    links = load_ragged(run.path(AGREED if options.by_heads else FILE))["links"]
    shares = pairs.shares**options.share_power * (links.lengths > 0)
    even = Encoded(pairs.source, pairs.target, links, shares)
    left = options.steps
    for epoch in itertools.count():
        rng = np.random.default_rng([schedule.seed, epoch])
        groups = batches(even, schedule.batch_tokens, run.recipe.corpus.max_tokens, rng)
        for group in groups[:left]:
            yield collate(even, group, PAD, BOS, EOS)
        left -= len(groups)
        if left <= 0:
            return


def _loss(model: Seq2Seq, batch: Batch, device: torch.device) -> torch.Tensor:
    source = torch.from_numpy(batch.source).long().to(device)
    lengths = torch.from_numpy(batch.source_lengths).long().to(device)
    target = torch.from_numpy(batch.target_in).long().to(device)
    scores = model(source, lengths, target).alignment
    links = torch.from_numpy(batch.links).to(device)
    return loss.guided_score_loss(scores.float(), source != PAD, links)
