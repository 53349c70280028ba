"""The training loop: schedule, resume, early stop; no architecture.

A run that is stopped and resumed makes the same steps as one that was not: order, dropout
and sampling come from seeds and saved random state.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from model_export import beginning, checkpoint, loss, scores
from model_export.config import Training
from model_export.corpus import Batch, Encoded, batches, collate
from model_export.decode import translate
from model_export.model import Output, Seq2Seq
from model_export.progress import Progress
from model_export.run import Run, load_corpus
from model_export.subwords import BOS, EOS, PAD, Splitter
from model_export.variety import Varied
from model_export.watch import Watch
from service.tokenizer import Tokenizer

LOG_EVERY = 50
Tensors = tuple[Tensor, ...] | list[Tensor]
Report = Callable[[str], None]


@dataclass(slots=True)
class Position:
    """Where training stands; saved with every checkpoint."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float = -1.0
    since_best: int = 0
    finished: bool = False


def learning_rate(step: int, options: Training) -> float:
    """Linear warm-up, then a cosine to zero at the last step."""
    if step < options.warmup:
        return options.learning_rate * (step + 1) / options.warmup
    share = (step - options.warmup) / max(1, options.steps - options.warmup)
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def build_model(run: Run) -> Seq2Seq:
    """Return a fresh model of the recipe's sizes, seeded."""
    torch.manual_seed(run.recipe.training.seed)
    source, target = run.tokenizers()
    return Seq2Seq(source.size, target.size, run.recipe.model)


def load_model(run: Run, weights: Path | None = None) -> Seq2Seq:
    """Return the model of a run with its best weights, or with others, ready for inference."""
    model = build_model(run)
    model.load_state_dict(checkpoint.load(weights or run.best)["model"])
    return model.eval()


def averaged(model: Seq2Seq, decay: float) -> AveragedModel:
    """Return a moving average of the weights, which leans on few steps while there are few."""

    def lean(averages: Tensors, current: Tensors, count: Tensor | int) -> None:
        made = float(count)
        torch._foreach_lerp_(averages, current, 1 - min(decay, (1 + made) / (10 + made)))

    return AveragedModel(model, multi_avg_fn=lean)


def faster_in_bf16(device: torch.device) -> bool:
    """Tell whether the device multiplies bfloat16 faster than float32, by trying."""
    if device.type == "cuda":
        return True
    times = []
    for kind in (torch.float32, torch.bfloat16):
        a, b = torch.ones(256, 512, dtype=kind), torch.ones(512, 512, dtype=kind)
        a @ b
        start = time.perf_counter()
        for _ in range(3):
            a @ b
        times.append(time.perf_counter() - start)
    return times[1] < 0.8 * times[0]


class Trainer:
    """Model, optimizer and data of a run in progress."""

    def __init__(self, run: Run, device: torch.device) -> None:
        self.run, self.device, self.options = run, device, run.recipe.training
        self.readings = 2 if self.options.consistency else 1
        self.corpus: Encoded = load_corpus(run)
        self.model = build_model(run).to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.options.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=self.options.weight_decay,
            fused=True,
        )
        self.averaged = averaged(self.model, self.options.averaging)
        self.at = Position()
        self.bf16 = faster_in_bf16(device)
        self.target_tokenizer: Tokenizer
        splitters = Splitter(run.source_model), Splitter(run.target_model)
        self.varied = Varied(*splitters, run.recipe.variety)
        self.watch = Watch(run)
        source, self.target_tokenizer = run.tokenizers()
        dev = run.dev_sample()
        self.dev_sources = [source.encode(pair.source).ids for pair in dev]
        self.dev_targets = [pair.target for pair in dev]

    def resume(self) -> None:
        """Go on from the checkpoint of the run."""
        state = checkpoint.load(self.run.checkpoint)
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.at = Position(**state["position"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and "device_random" in state:  # none if a CPU began
            torch.cuda.set_rng_state(state["device_random"])
        self.bf16 = state["bf16"]  # the trial of a busy machine may differ

    def start_from(self, weights: Path) -> None:
        """Begin with the weights of another run; what comes of them must be better to be kept."""
        for model in (self.model, self.averaged.module):
            model.load_state_dict(checkpoint.load(weights)["model"])
        self.measure()

    def save(self) -> None:
        """Write the checkpoint of the run."""
        position = {name: getattr(self.at, name) for name in Position.__slots__}
        state = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "position": position,
            "random": torch.get_rng_state(),
            "bf16": self.bf16,
        }
        if self.device.type == "cuda":
            state["device_random"] = torch.cuda.get_rng_state()
        checkpoint.save(self.run.checkpoint, state)

    def epoch_batches(self) -> Iterator[Batch]:
        """Yield the rest of the current epoch from where training stands."""
        rng = np.random.default_rng([self.options.seed, self.at.epoch])
        limit = self.run.recipe.corpus.max_tokens
        groups = batches(self.corpus, self.options.batch_tokens // self.readings, limit, rng)
        for number in range(self.at.batch, len(groups)):
            key = (self.options.seed, self.at.epoch, number)
            rows = self.varied.rows(self.corpus, groups[number].tolist(), key)
            yield collate(rows, np.arange(len(rows.source)), PAD, BOS, EOS)
        self.at.epoch, self.at.batch = self.at.epoch + 1, 0

    def remaining_batches(self) -> Iterator[Batch]:
        """Yield batches, epoch after epoch, until training is done."""
        while not self.done():
            for batch in self.epoch_batches():
                yield batch
                if self.done():
                    return

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """Make one optimizer step; return its losses."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.at.step, self.options)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            parts = self.losses(batch)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward([parts["total"]])
        self.watch.look(self.model, self.at.step)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
        self.optimizer.step()
        self.averaged.update_parameters(self.model)
        self.at.step += 1
        self.at.batch += 1
        return {name: part.detach() for name, part in parts.items()}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Token, cross-attention and alignment losses of a batch, and their weighted total.

        Where it is read twice, the divergence of the two readings too.
        """
        options = self.options
        source, target_in = self._read(batch.source).long(), self._read(batch.target_in).long()
        output = self.model(source, self._read(batch.source_lengths).long(), target_in)
        predicted = self.predicted(output, self._read(batch.target_out).long())
        links = self._read(batch.links)
        token = loss.cross_entropy(predicted, options.label_smoothing)
        cross = head = token.new_zeros(())
        if output.cross is not None:
            cross = loss.guided_loss(output.cross[:, :-1].float(), links[:, 1:])
        if output.alignment is not None:
            head = loss.guided_score_loss(output.alignment.float(), source != PAD, links)
        parts = {"token": token, "cross": cross, "alignment": head}
        total = token + options.cross_attention_weight * cross + options.alignment_weight * head
        if self.readings > 1:
            parts["divergence"] = loss.divergence(predicted)
            total = total + options.consistency * parts["divergence"]
        return {**parts, "total": total}

    def _read(self, rows: NDArray[Any]) -> Tensor:
        """Return an array of a batch on the device, as often as the batch is read."""
        return torch.cat([torch.from_numpy(rows).to(self.device)] * self.readings)

    def predicted(self, output: Output, target_out: Tensor) -> loss.Predicted:
        """What is said of the real target tokens, over a sampled vocabulary until late."""
        real = target_out != PAD  # (B, T)
        features, targets = output.features[real], target_out[real]
        extra = self.options.sampled_vocabulary
        late = self.at.step >= self.options.full_softmax_from * self.options.steps
        if late or not extra:
            return loss.over_all(self.model.decoder, features, targets)
        return loss.over_a_sample(self.model.decoder, features, targets, extra)

    def measure(self) -> float:
        """Return chrF of the averaged weights on the dev sample; keep them if they are the best."""
        model = cast(Seq2Seq, self.averaged.module)
        out = translate(model, self.dev_sources)
        texts = [self.target_tokenizer.decode(ids).text for ids in out]
        found = scores.score(texts, self.dev_targets, self.run.recipe.bundle.target.code)
        self.run.log(step=self.at.step, chrf=found.chrf, bleu=found.bleu)
        if found.chrf > self.at.best:
            self.at.best, self.at.since_best = found.chrf, 0
            self.run.forget_former()
            checkpoint.save(self.run.best, {"model": model.state_dict()})
        else:
            self.at.since_best += 1
        return found.chrf

    def done(self) -> bool:
        """Tell whether the schedule is over or the dev score has stopped rising."""
        return self.at.step >= self.options.steps or self.at.since_best > self.options.patience


def train(
    run: Run,
    device: torch.device,
    resume: bool,
    start: Path | None = None,
    report: Report = lambda _: None,
) -> None:
    """Train the recipe's model to the end of its schedule, or until it stops improving.

    It begins with the weights in `start`, or fresh. With `resume` it goes on where the checkpoint
    stands, if that is of the same training; what was finished is left as it is.
    """
    trainer = Trainer(run, device)
    if resume and beginning.interrupted(run, start):
        trainer.resume()
        run.forget_after(trainer.at.step)
        if trainer.at.finished:
            report("training was finished before")
            return
    else:
        if resume:
            report("there is no checkpoint of this recipe and corpus: training begins afresh")
        beginning.begin(run, start)
        trainer.watch.forget()
        if start:
            trainer.start_from(start)
    _learn(trainer)


def _learn(trainer: Trainer) -> None:
    """Make all steps that are left, and write down where training stands now and then."""
    with Progress(trainer.options.steps, trainer.at.step) as progress:
        saved = time.monotonic()
        for batch in trainer.remaining_batches():
            losses = trainer.train_step(batch)
            progress.step(losses, int((batch.target_out != PAD).sum()))
            if trainer.at.step % LOG_EVERY == 0:
                means = progress.means()
                trainer.run.log(step=trainer.at.step, tokens_per_second=progress.rate, **means)
            if trainer.at.step % trainer.options.dev_every == 0:
                progress.dev(trainer.measure())
            if time.monotonic() - saved > 60 * trainer.options.checkpoint_minutes:
                trainer.save()
                saved = time.monotonic()
    if trainer.at.step % trainer.options.dev_every:
        trainer.measure()
    trainer.watch.look_last(trainer.model, trainer.at.step)
    trainer.at.finished = True
    trainer.save()
