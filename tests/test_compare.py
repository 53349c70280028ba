"""The comparison of mechanisms: two toy models from end to end, and each part by itself."""

import dataclasses
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from model_export import compare, config, explain, speeds
from model_export import train as training
from model_export.compare import SENTENCES, VARIANTS, Measured, Variant
from model_export.corpus import Pair
from model_export.model import Seq2Seq
from model_export.recipe import read_recipe
from model_export.run import CORPUS, Run
from service.translation import Matrix

CPU = torch.device("cpu")
NAMES = ("none", "Transformer")
STEPS = 12
RECIPE = Path(compare.__file__).with_name("recipes") / "compare.toml"


def some(name: str) -> Measured:
    """What might be measured of a variant."""
    pair = {"source": ["a", "</s>"], "target": ["b", "c", "</s>"], "cross": [[0.75, 0.25]] * 3}
    return Measured(
        name, 31.25, 50.0, 20.0, 10.0, 3_140_000, 12_345.0, 6_789.0, 1.234,
        {"dev": {"1–4": 30.0, "5–7": 20.0}}, [pair] * len(SENTENCES),
    )  # fmt: skip


def without_speeds(patch: pytest.MonkeyPatch) -> None:
    """Let nothing be timed."""
    patch.setattr(speeds, "training", lambda runs, device: [9.0] * len(runs))
    patch.setattr(speeds, "serving", lambda runs: [7.0] * len(runs))


@pytest.fixture(scope="module")
def run(toy_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The corpus of the toy run, and a recipe of a few steps that any variant can follow."""
    recipe = toy_run.recipe
    sizes = dataclasses.replace(
        recipe.model,
        encoder=dataclasses.replace(recipe.model.encoder, heads=4, inner=64),
        decoder=dataclasses.replace(recipe.model.decoder, top=0, heads=4, inner=64),
        attention=dataclasses.replace(recipe.model.attention, size=32, window=6, heads=4),
    )
    options = dataclasses.replace(
        recipe.training, steps=STEPS, dev_every=STEPS, watched=("The king. ||| Le roi.",)
    )
    recipe = dataclasses.replace(recipe, model=sizes, training=options)
    made = Run(recipe, toy_run.data, tmp_path_factory.mktemp("compare") / "run")
    for name in CORPUS:
        shutil.copyfile(toy_run.path(name), made.path(name))
    return made


@pytest.fixture(scope="module")
def measured(run: Run) -> list[Measured]:
    """Two variants, trained and measured for real."""
    told: list[str] = []
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "LOG_EVERY", STEPS // 3)
        patch.setattr(training, "faster_in_bf16", lambda _: False)
        found = compare.compare(run, NAMES, CPU, told.append)
    assert told == [*NAMES, "speeds"]
    return found


def test_variants_are_measured_by_what_they_are(measured: list[Measured]) -> None:
    plain, transformer = measured
    assert [row.name for row in measured] == list(NAMES)
    assert plain.cross_aer is plain.entropy is None
    assert not plain.matrices
    for row in measured:
        assert row.parameters > 10_000
        assert min(row.training_speed, row.serving_speed) > 0
        assert 0 <= row.bleu <= 100
        assert 0 <= row.chrf <= 100
        assert row.head_aer is not None
        assert 0 <= row.head_aer <= 100
        assert row.bleu_by_length.keys() == {"dev"}
        assert row.bleu_by_length["dev"].keys() == {"5–7"}
    assert transformer.cross_aer is not None
    assert transformer.entropy is not None
    assert 0 < transformer.entropy < math.log(20)


def test_the_same_sentences_are_shown_of_every_mechanism(measured: list[Measured]) -> None:
    found = measured[1].matrices
    assert len(found) == len(SENTENCES)
    for text, shown in zip(SENTENCES, found, strict=True):
        assert "".join(shown["source"]) == text.replace(" ", "") + "</s>"
        weights = np.array(shown["cross"])
        assert weights.shape == (len(shown["target"]), len(shown["source"]))
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=0.01)


def test_each_variant_is_a_run_of_its_own(run: Run, measured: list[Measured]) -> None:
    for name in ("none", "transformer"):
        log = (run.folder / name / "log.jsonl").read_text(encoding="utf-8")
        assert f'"step": {STEPS}' in log
        assert (run.folder / name / "int8" / "decoder.onnx").is_file()
        assert (run.folder / name / "corpus.npz").read_bytes() == run.path(
            "corpus.npz"
        ).read_bytes()
    weights = torch.load(run.folder / "none" / "best.pt", weights_only=True)["model"]
    assert not [name for name in weights if "attention" in name]


def test_how_attention_formed_can_be_explained(run: Run, measured: list[Measured]) -> None:
    paths = explain.explain(run.folder / "transformer")
    assert [path.name for path in paths] == [
        "explain-1.png", "explain-gradients.png", "explain.html"
    ]  # fmt: skip


def test_an_interrupted_training_goes_on_and_one_of_another_model_does_not(
    run: Run, measured: list[Measured], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = dataclasses.replace(run, folder=Path(shutil.copytree(run.folder, tmp_path / "run")))
    copy.path("results.json").unlink()
    went_on: list[str] = []

    def resume(trainer: training.Trainer) -> None:
        went_on.append(trainer.run.folder.name)
        raise KeyboardInterrupt

    def train_step(trainer: training.Trainer, batch: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Trainer, "resume", resume)
    monkeypatch.setattr(training.Trainer, "train_step", train_step)
    other = dataclasses.replace(copy.recipe.training, seed=9)
    changed = dataclasses.replace(copy, recipe=dataclasses.replace(copy.recipe, training=other))
    for asked, name in ((copy, "none"), (copy, "dot"), (changed, "none"), (copy, "none")):
        with pytest.raises(KeyboardInterrupt):
            compare.compare(asked, [name], CPU, lambda _: None)
    assert went_on == ["none"], "once: what another model began was forgotten"


def test_what_was_measured_is_not_trained_again(
    run: Run, measured: list[Measured], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*_: object, **__: object) -> None:
        raise AssertionError("it was measured before")

    monkeypatch.setattr(training, "train", train)
    told: list[str] = []
    assert compare.compare(run, NAMES, CPU, told.append) == measured
    assert told == []


def test_more_variants_are_added_in_the_order_of_the_table(
    run: Run, measured: list[Measured], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = dataclasses.replace(run, folder=Path(shutil.copytree(run.folder, tmp_path / "run")))
    asked: list[tuple[str, str]] = []

    def measure(own: Run, variant: Variant, device: torch.device) -> Measured:
        asked.append((own.folder.name, own.recipe.model.attention.kind))
        return dataclasses.replace(some(variant.name), serving_speed=math.nan)

    def stop(runs: list[Run], device: torch.device) -> list[float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "_measure", measure)
    monkeypatch.setattr(speeds, "training", stop)
    with pytest.raises(KeyboardInterrupt):
        compare.compare(copy, ["dot", "none"], CPU, lambda _: None)
    without_speeds(monkeypatch)
    found = compare.compare(copy, ["dot", "none"], CPU, lambda _: None)
    assert asked == [("dot", "dot")]
    assert [row.name for row in found] == ["none", "dot", "Transformer"]
    assert {(row.training_speed, row.serving_speed) for row in found} == {(9.0, 7.0)}, "in one go"
    again = [dataclasses.replace(row, training_speed=9.0, serving_speed=7.0) for row in measured]
    assert [found[0], found[2]] == again
    written = json.loads(copy.path("results.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in written["rows"]] == ["none", "Transformer", "dot"]


def test_results_of_another_recipe_are_not_mixed_in(run: Run, measured: list[Measured]) -> None:
    options = dataclasses.replace(run.recipe.training, steps=STEPS + 1)
    recipe = dataclasses.replace(run.recipe, training=options)
    with pytest.raises(config.RecipeError, match="another recipe or corpus"):
        compare.compare(dataclasses.replace(run, recipe=recipe), NAMES, CPU, lambda _: None)


def test_without_names_all_are_measured(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = dataclasses.replace(run, folder=tmp_path / "run")
    for name in CORPUS:
        shutil.copyfile(run.path(name), fresh.path(name))
    monkeypatch.setattr(compare, "_measure", lambda own, variant, device: some(variant.name))
    without_speeds(monkeypatch)
    found = compare.compare(fresh, (), CPU, lambda _: None)
    assert [row.name for row in found] == [variant.name for variant in VARIANTS]
    folders = [path for path in fresh.folder.iterdir() if path.is_dir()]
    assert len(folders) == len(VARIANTS), "none writes over another"


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_is_the_recipes_model_with_other_parts(variant: Variant) -> None:
    recipe = read_recipe(RECIPE)
    sizes = compare.sizes_of(recipe.model, variant)
    config.check(sizes)
    kinds = sizes.encoder.kind, sizes.decoder.kind, sizes.attention.kind
    assert kinds == (variant.encoder, variant.decoder, variant.attention)
    assert sizes.decoder.input_feeding == variant.input_feeding
    assert (sizes.attention.heads > 1) == (variant.attention == "multi-head")
    assert bool(sizes.alignment_head) == variant.alignment_head
    with torch.device("meta"):
        base = Seq2Seq(recipe.subwords.size, recipe.subwords.size, recipe.model)
        model = Seq2Seq(recipe.subwords.size, recipe.subwords.size, sizes)
    counts = [sum(weight.numel() for weight in one.parameters()) for one in (base, model)]
    assert 0.7 < counts[1] / counts[0] < 1.4, "about as many parameters"


def test_variants_have_names_of_their_own() -> None:
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    parts = [dataclasses.replace(variant, name="") for variant in VARIANTS]
    assert len(set(parts)) == len(VARIANTS)


def test_bleu_is_told_by_the_length_of_the_source() -> None:
    short = [Pair("a b c", "one two three four five", "toy")] * compare.FEWEST
    long = [Pair("w " * 30, "six seven eight nine ten", "toy")] * compare.FEWEST
    few = [Pair("w " * 8, "one two three four", "toy")] * (compare.FEWEST - 1)
    texts = [pair.target for pair in short] + ["nothing of the kind at all"] * len(long)
    texts += [pair.target for pair in few]
    found = compare.by_length([*short, *long, *few], texts, "fr")
    assert found == {"1–4": 100.0, "20–": pytest.approx(0, abs=5)}


@pytest.mark.parametrize(
    ("words", "name"), [(1, "1–4"), (4, "1–4"), (5, "5–7"), (19, "15–19"), (20, "20–"), (99, "20–")]
)
def test_classes_of_length_meet_without_a_gap(words: int, name: str) -> None:
    assert compare._length_class(words) == name


def test_entropy_is_that_of_every_row() -> None:
    rows: Matrix = np.array([[0.25] * 4, [0.5, 0.5, 0, 0], [1, 0, 0, 0]], np.float32)
    assert compare._row_entropies(rows) == pytest.approx([math.log(4), math.log(2), 0])


def test_the_rule_is_tuned_on_one_set_and_measured_on_the_others(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = dataclasses.replace(run.recipe.evaluation, alignment=("t", "x", "y"), tuning="t")
    changed = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, evaluation=sets))
    seen: list[Any] = []
    monkeypatch.setattr(Run, "gold", lambda _, name: [name])
    monkeypatch.setattr("model_export.evaluate.attend", lambda _, rows: rows)
    monkeypatch.setattr("model_export.evaluate.tune", lambda rows, *_: seen.append(rows))
    score = SimpleNamespace(aer=12.345)

    def scored(rows: list[str], rule: object) -> SimpleNamespace:
        seen.append(rows)
        return score

    monkeypatch.setattr("model_export.evaluate.alignment_score", scored)
    assert compare._aer(changed, cast(Any, None), "cross") == pytest.approx(12.35, abs=0.01)
    assert seen == [["t"], ["x", "y"]]
