"""The training loop: the same steps after a stop, schedule, early stop, log, best weights."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from model_export import checkpoint, config, loss, watch
from model_export import train as training
from model_export.corpus import Batch
from model_export.model import Output, Seq2Seq
from model_export.run import Run, load_corpus
from model_export.scores import Scores
from model_export.train import Trainer, learning_rate, load_model
from tests.architectures import network
from tests.ninety import SIZES, STEPS, fresh, prepare

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(training, "faster_in_bf16", lambda _: False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that can be trained."""
    torch.set_num_threads(1)
    return prepare(tmp_path_factory.mktemp("train"))


def log_of(run: Run, name: str) -> list[dict[str, float]]:
    """The lines of the log that tell of a figure."""
    lines = run.path("log.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if name in row]


class Stop(Exception):
    """What pulls the plug."""


def stop_before(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training fail before it makes step number `step`."""
    make_step = Trainer.train_step

    def train_step(self: Trainer, batch: Batch) -> dict[str, Tensor]:
        if self.at.step == step:
            raise Stop
        return make_step(self, batch)

    monkeypatch.setattr(Trainer, "train_step", train_step)


@pytest.fixture(scope="module")
def whole(prepared: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that was never stopped."""
    run = fresh(prepared, tmp_path_factory.mktemp("whole"), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "faster_in_bf16", lambda _: False)
        training.train(run, CPU, resume=False)
    return run


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal to the last bit."""
    if isinstance(one, Tensor):
        return one.equal(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def epoch_length(run: Run) -> int:
    return sum(1 for _ in Trainer(run, CPU).epoch_batches())


def test_who_is_watched_makes_the_same_steps(prepared: Run, whole: Run, tmp_path: Path) -> None:
    run = fresh(prepared, tmp_path, {"watched": ("abcd efgh ||| ABCD EFGH",)})
    training.train(run, CPU, resume=False)
    states = [checkpoint.load(one.checkpoint) for one in (whole, run)]
    assert same(*states)
    first, last = watch.read(run.folder)
    assert (first["step"], last["step"]) == (0, STEPS)
    assert min(first["gradients"].values()) > 0
    assert first["pairs"][0]["cross"] != last["pairs"][0]["cross"]


@pytest.mark.parametrize("stopped", ["early", "at the end of an epoch", "late"])
def test_a_resumed_run_makes_the_same_steps(
    prepared: Run, whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    run = fresh(prepared, tmp_path, {})
    epoch = epoch_length(run)
    assert 4 < epoch < STEPS - 4
    step = {"early": 3, "at the end of an epoch": epoch, "late": STEPS - 2}[stopped]
    with monkeypatch.context() as patch:
        stop_before(step, patch)
        with pytest.raises(Stop):
            training.train(run, CPU, resume=False)
    assert checkpoint.load(run.checkpoint)["position"]["step"] == step
    with run.path("log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps({"step": step + 1, "chrf": 99.0}) + "\n")  # made after the checkpoint
    torch.manual_seed(99)
    # A resumed run keeps the number format, whatever the machine now seems to be fast at.
    monkeypatch.setattr(training, "faster_in_bf16", lambda _: True)
    training.train(run, CPU, resume=True)
    ours, theirs = checkpoint.load(run.checkpoint), checkpoint.load(whole.checkpoint)
    assert ours["position"] == theirs["position"]
    for name in theirs:
        assert same(ours[name], theirs[name]), name
    assert same(checkpoint.load(run.best), checkpoint.load(whole.best))
    assert log_of(run, "chrf") == log_of(whole, "chrf")


def test_the_seed_makes_the_model(prepared: Run, tmp_path: Path) -> None:
    runs = [fresh(prepared, tmp_path / f"{n}", {"seed": seed}) for n, seed in enumerate((4, 4, 5))]
    one, again, other = (training.build_model(run).state_dict() for run in runs)
    assert same(one, again)
    assert not same(one, other)


def test_a_finished_run_is_left_as_it_is(whole: Run, tmp_path: Path) -> None:
    again = fresh(whole, tmp_path, {"watched": ("ab ||| AB",), "checkpoint_minutes": 9.0})
    again.best.write_bytes(b"refined since")
    files = {path: path.read_bytes() for path in again.folder.iterdir()}
    said: list[str] = []
    training.train(again, CPU, True, report=said.append)
    assert {path: path.read_bytes() for path in again.folder.iterdir()} == files
    assert said == ["training was finished before"]


@pytest.mark.parametrize("state", [None, torch.arange(3, dtype=torch.uint8)])
def test_what_a_cpu_began_goes_on_on_a_gpu(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Tensor | None
) -> None:
    """With the random state of the device where there is one."""
    run = fresh(whole, tmp_path, {})
    if state is not None:
        checkpoint.save(run.checkpoint, {**checkpoint.load(run.checkpoint), "device_random": state})
    restored: list[Tensor] = []
    monkeypatch.setattr(torch.cuda, "set_rng_state", restored.append)
    trainer = Trainer(run, CPU)
    trainer.device = torch.device("cuda")
    trainer.resume()
    assert trainer.at.step == STEPS
    assert [one.tolist() for one in restored] == ([] if state is None else [[0, 1, 2]])


@pytest.mark.parametrize("changed", [{"seed": 4}, {"steps": 7}, {"learning_rate": 1e-4}])
def test_what_another_recipe_left_is_not_gone_on_with(
    prepared: Run, whole: Run, tmp_path: Path, changed: dict[str, Any]
) -> None:
    again, alone = fresh(whole, tmp_path, changed), fresh(prepared, tmp_path / "alone", changed)
    said: list[str] = []
    training.train(again, CPU, True, report=said.append)
    training.train(alone, CPU, resume=False)
    assert said == ["there is no checkpoint of this recipe and corpus: training begins afresh"]
    for name in ("checkpoint", "best"):
        assert same(*(checkpoint.load(getattr(run, name)) for run in (again, alone))), name
    assert log_of(again, "chrf") == log_of(alone, "chrf")


def test_a_start_that_breaks_off_leaves_nothing_of_an_older_run(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = fresh(whole, tmp_path, {})
    with monkeypatch.context() as patch:
        stop_before(2, patch)
        patch.setattr(Trainer, "save", lambda _: None)
        with pytest.raises(Stop):
            training.train(again, CPU, resume=False)
    assert not again.checkpoint.exists()
    assert not again.best.exists()
    training.train(again, CPU, resume=True)
    assert same(checkpoint.load(again.best), checkpoint.load(whole.best))


def test_the_position_counts_every_batch_once(prepared: Run, whole: Run) -> None:
    position = checkpoint.load(whole.checkpoint)["position"]
    assert position["epoch"] * epoch_length(prepared) + position["batch"] == STEPS


def test_the_schedule_rises_and_falls(prepared: Run) -> None:
    changed: dict[str, Any] = {"warmup": 10, "steps": 110, "learning_rate": 0.5}
    options = dataclasses.replace(prepared.recipe.training, **changed)
    rates = [learning_rate(step, options) for step in range(111)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[9] == rates[10] == 0.5 == max(rates)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[60] == pytest.approx(0.25)
    assert rates[35] == pytest.approx(0.25 * (1 + math.cos(math.pi / 4)))
    assert rates[110] == pytest.approx(0, abs=1e-12)
    assert learning_rate(500, options) == pytest.approx(0, abs=1e-12)
    assert learning_rate(0, dataclasses.replace(options, warmup=0)) == 0.5


def test_a_step_follows_the_schedule(prepared: Run, tmp_path: Path) -> None:
    trainer = Trainer(fresh(prepared, tmp_path, {}), CPU)
    batches = trainer.epoch_batches()
    for step in range(3):
        trainer.train_step(next(batches))
        rates = {group["lr"] for group in trainer.optimizer.param_groups}
        assert rates == {learning_rate(step, trainer.options)}
    assert trainer.at == training.Position(step=3, batch=3)


def test_what_is_kept_is_the_moving_average(prepared: Run, tmp_path: Path) -> None:
    trainer = Trainer(fresh(prepared, tmp_path, {"averaging": 0.3}), CPU)
    batches = trainer.epoch_batches()
    expected: dict[str, Tensor] = {}
    for step, decay in enumerate((0.0, 2 / 11, 3 / 12, 0.3, 0.3)):
        trainer.train_step(next(batches))
        now = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        assert step == 0 or not same(now, expected)
        old = expected or now
        expected = {name: decay * old[name] + (1 - decay) * now[name] for name in now}
    trainer.measure()
    kept = checkpoint.load(trainer.run.best)["model"]
    assert kept.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(kept[name], value)


def test_training_stops_when_the_dev_score_does_not_rise(prepared: Run, tmp_path: Path) -> None:
    still = {"learning_rate": 0.0, "dev_every": 2, "patience": 1, "steps": 500}
    training.train(run := fresh(prepared, tmp_path, still), CPU, resume=False)
    step = checkpoint.load(run.checkpoint)["position"]["step"]
    assert step == 6, "best at 2, no better at 4, nor at 6"
    assert [row["step"] for row in log_of(run, "chrf")][:3] == [2, 4, 6]


def test_the_loss_falls_and_is_logged(prepared: Run, tmp_path: Path) -> None:
    options = {"steps": 50, "dev_every": 99, "learning_rate": 0.05, "checkpoint_minutes": 9.0}
    run = fresh(prepared, tmp_path, options)
    run.log(step=1, token=0.0)  # of an earlier run, which a new one forgets
    trainer = Trainer(run, CPU)
    first = trainer.losses(next(trainer.epoch_batches()))
    training.train(run, CPU, resume=False)
    (row,) = log_of(run, "token")
    assert row["step"] == 50
    for name in ("token", "cross", "alignment", "total"):
        assert row[name] < 0.95 * first[name].item(), name
    assert row["tokens_per_second"] > 0
    (dev,) = log_of(run, "chrf")
    assert dev["step"] == 50
    assert 0 <= dev["bleu"] <= 100


def test_the_best_weights_are_kept(
    prepared: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(fresh(prepared, tmp_path, {}), CPU)
    scores = (30.0, 20.0, 31.0, 31.0)
    found = (Scores(0.0, "", chrf, "") for chrf in scores)
    monkeypatch.setattr("model_export.scores.score", lambda *_: next(found))
    kept = []
    for value in (1.0, 2.0, 3.0, 4.0):
        with torch.no_grad():
            cast(Seq2Seq, trainer.averaged.module).decoder.bias.fill_(value)
        trainer.run.unrefined.write_bytes(b"former")
        trainer.measure()
        assert trainer.run.unrefined.exists() == (value in (2.0, 4.0)), "as long as best.pt lasts"
        kept.append(load_model(trainer.run).decoder.bias[0].item())
    assert kept == [1.0, 1.0, 3.0, 3.0]
    assert (trainer.at.best, trainer.at.since_best) == (31.0, 1)
    assert trainer.model.training, "dropout goes on after measuring"
    assert not load_model(trainer.run).training


class Pointing(Seq2Seq):
    """Attends exactly where the links of a batch say."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(4, 10_000, SIZES)
        self.links = torch.from_numpy(batch.links)

    def forward(self, source: Tensor, lengths: Tensor, target_in: Tensor) -> Output:
        features = torch.zeros(*target_in.shape, SIZES.decoder.embedding)
        chosen = torch.cat([self.links[:, 1:], self.links[:, :1]], dim=1)
        return Output(features, chosen, torch.log(self.links + 1e-9))


def test_links_guide_the_row_of_their_token(prepared: Run, tmp_path: Path) -> None:
    """Cross-attention is guided where it *chose* the token, the head where it has *read* it."""
    trainer = Trainer(fresh(prepared, tmp_path, {}), CPU)
    batch = next(trainer.epoch_batches())
    losses = trainer.losses(batch)
    weights = trainer.options.cross_attention_weight, trainer.options.alignment_weight
    total = losses["token"] + weights[0] * losses["cross"] + weights[1] * losses["alignment"]
    assert losses["total"].allclose(total)
    assert min(losses["cross"].item(), losses["alignment"].item()) > 0.1
    trainer.model = Pointing(batch)
    perfect = trainer.losses(batch)
    assert perfect["cross"].item() == pytest.approx(0, abs=1e-5)
    assert perfect["alignment"].item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("sizes", "lacking"),
    [
        (network("lstm", "gru", "none"), {"cross"}),
        (network("gru", "transformer", "multi-head", alignment_head=0), {"alignment"}),
        (network("gru", "lstm", "none", alignment_head=0), {"cross", "alignment"}),
    ],
)
def test_what_a_model_lacks_costs_nothing(
    prepared: Run, tmp_path: Path, sizes: config.Model, lacking: set[str]
) -> None:
    run = fresh(prepared, tmp_path, {})
    run = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, model=sizes))
    trainer = Trainer(run, CPU)
    losses = trainer.train_step(next(trainer.epoch_batches()))
    assert {name for name, part in losses.items() if not part} == lacking
    for weight in trainer.model.parameters():
        assert weight.isfinite().all()


def test_the_whole_vocabulary_counts_late_or_without_sampling(
    prepared: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    for name in ("over_all", "over_a_sample"):
        monkeypatch.setattr(loss, name, lambda *_, name=name: called.append(name))
    trainer = Trainer(fresh(prepared, tmp_path, {}), CPU)
    output = Output(torch.zeros(1, 2, 8), torch.zeros(1), torch.zeros(1))
    targets = torch.tensor([[4, 0]])
    for step in (0, 11, 12, 15):  # the whole from 0.75 of 16 steps on
        trainer.at.step = step
        trainer.predicted(output, targets)
    assert called == ["over_a_sample"] * 2 + ["over_all"] * 2
    called.clear()
    trainer.options = dataclasses.replace(trainer.options, sampled_vocabulary=0)
    trainer.at.step = 0
    trainer.predicted(output, targets)
    assert called == ["over_all"]


def dropping(run: Run, folder: Path, dropout: float, **options: Any) -> Trainer:
    """A trainer of a network with other dropout."""
    model = dataclasses.replace(SIZES, dropout=dropout, word_dropout=dropout)
    recipe = dataclasses.replace(run.recipe, model=model)
    return Trainer(fresh(dataclasses.replace(run, recipe=recipe), folder, options), CPU)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_two_readings_differ_by_what_is_dropped(
    prepared: Run, tmp_path: Path, dropout: float
) -> None:
    once = dropping(prepared, tmp_path / "once", dropout, sampled_vocabulary=0)
    twice = dropping(prepared, tmp_path / "twice", dropout, sampled_vocabulary=0, consistency=2.0)
    batch = next(once.epoch_batches())
    with torch.no_grad():
        first, second = once.losses(batch), twice.losses(batch)
    apart = second.pop("divergence").item()
    assert (apart > 1e-5) is (dropout > 0)
    assert set(second) == set(first)
    if not dropout:
        for name, part in first.items():
            assert second[name].item() == pytest.approx(part.item(), rel=1e-5), name
    about = once.options
    rest = second["token"] + about.cross_attention_weight * second["cross"]
    rest += about.alignment_weight * second["alignment"]
    assert second["total"].item() == pytest.approx(rest.item() + 2 * apart, rel=1e-5)


def test_a_batch_that_is_read_twice_is_half_as_large(prepared: Run, tmp_path: Path) -> None:
    most = []
    for weight in (0.0, 1.0):
        one = dropping(prepared, tmp_path / f"{weight}", 0.1, consistency=weight)
        most.append(max(max(b.source.size, b.target_in.size) for b in one.epoch_batches()))
    assert most[1] <= 300 / 2 < most[0] <= 300


def test_training_makes_two_readings_agree(prepared: Run, tmp_path: Path) -> None:
    apart = []
    for weight in (1e-9, 30.0):
        one = dropping(prepared, tmp_path / f"{weight}", 0.3, consistency=weight, steps=40)
        found = [one.train_step(batch)["divergence"].item() for batch in one.remaining_batches()]
        apart.append(found[-1])
    assert apart[1] < 0.5 * apart[0]


def test_epochs_go_on_in_the_middle(prepared: Run, tmp_path: Path) -> None:
    trainer, other = (Trainer(prepared, CPU) for _ in range(2))
    every = [batch.source.tolist() for batch in trainer.epoch_batches()]
    assert trainer.at.epoch == 1
    other.at.batch = 2
    assert [batch.source.tolist() for batch in other.epoch_batches()] == every[2:]
    assert [batch.source.tolist() for batch in trainer.epoch_batches()] != every
    assert sum(map(len, every)) == len(load_corpus(prepared).source)
