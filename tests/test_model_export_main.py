"""The command line of training: stages in order, and one line for what a person can mend."""

import dataclasses
import gzip
import json
import random
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import typer
from torch import Tensor
from typer.testing import CliRunner

from model_export import __main__ as commands
from model_export import compare, compared, corpus, distil, sharpen, studies
from model_export.arguments import open_run
from model_export.compare import Measured
from model_export.corpus import Batch, Ragged
from model_export.labels import AlignerError
from model_export.run import Run, load_corpus, load_ragged
from model_export.train import Trainer
from model_export.verify import Agreement
from service.bundle import Bundle
from tests import toy

STAGES = ["subwords", "labels", "train", "export", "verify", "evaluate", "seal"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "toy.toml"
    path.write_text(toy.RECIPE, encoding="utf-8")
    return path


def fails(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    """Run a command that must fail, and return its one line."""
    monkeypatch.setattr(sys, "argv", ["model_export", *map(str, arguments)])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as stopped:
        commands.main()
    line = str(stopped.value.code)
    assert line.startswith("error: "), "sys.exit prints it and ends with status 1"
    assert "\n" not in line
    assert "Traceback" not in line
    return line


def test_help_lists_the_stages_in_the_order_of_the_chain() -> None:
    result = CliRunner().invoke(commands.app, ["--help"], env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert result.exit_code == 0
    listed = re.findall(r"^\W*([a-z]+) {2,}[A-Z]", result.output, re.MULTILINE)
    assert [name for name in listed if name in STAGES] == STAGES


def documented() -> list[str]:
    """The lines of shell in the guide to training."""
    text = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_the_commands_of_the_guide_have_the_options_that_it_gives_them() -> None:
    known = typer.main.get_group(commands.app).commands
    calls = [line.partition("#")[0].split() for line in documented() if "-m model_export" in line]
    assert len(calls) > 12
    for call in calls:
        assert call[:3] == ["python", "-m", "model_export"], "no variable that nobody reads"
        if call[3] != "$stage":
            options = {name for option in known[call[3]].params for name in option.opts}
            assert {word for word in call if word.startswith("--")} <= options, call


def test_a_loop_over_stages_ends_with_the_first_that_fails() -> None:
    loops = [line for line in documented() if "$stage" in line]
    assert len(loops) == 3
    assert all(line.endswith("|| break") for line in loops)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_names_a_recipe_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stage: str
) -> None:
    line = fails(monkeypatch, stage, tmp_path / "nowhere.toml")
    assert re.search(r"cannot read .*nowhere\.toml: No such file", line)


def test_a_mistake_in_a_recipe_is_named(monkeypatch: pytest.MonkeyPatch, recipe: Path) -> None:
    recipe.write_text(toy.RECIPE + "\nspeed = 3\n", encoding="utf-8")
    assert fails(monkeypatch, "train", recipe) == "error: unknown key evaluation.speed"


def test_a_missing_file_is_named(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, tmp_path: Path
) -> None:
    places = "--data", tmp_path / "data", "--runs", tmp_path / "runs"
    line = fails(monkeypatch, "subwords", recipe, *places)
    assert line == f"error: {tmp_path / 'data' / 'train.tsv.gz'}: No such file or directory"
    line = fails(monkeypatch, "labels", recipe, *places)
    assert line == f"error: {tmp_path / 'runs' / 'toy' / 'corpus.npz'}: No such file or directory"


def test_a_damaged_file_is_named(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "train.tsv.gz").write_text("not gzip", encoding="utf-8")
    assert "Not a gzipped file" in fails(monkeypatch, "subwords", recipe, "--data", tmp_path)
    folder = tmp_path / "runs" / "toy"
    folder.mkdir(parents=True)
    (folder / "source.model").write_text("not a model", encoding="utf-8")
    line = fails(monkeypatch, "export", recipe, "--runs", tmp_path / "runs")
    assert "source.model is not a SentencePiece model" in line


def test_an_aligner_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, toy_run: Run
) -> None:
    def fail(*_: object) -> Ragged:
        raise AlignerError("eflomal failed:\nno memory\n")

    monkeypatch.setattr("model_export.labels.label_links", fail)
    runs = toy_run.folder.parent
    line = fails(monkeypatch, "labels", recipe, "--data", toy_run.data, "--runs", runs)
    assert line == "error: eflomal failed: no memory"


def test_a_refusal_to_seal_is_one_line(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, toy_run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "toy"
    folder.mkdir(parents=True)
    for name in ("source.model", "target.model", "best.pt"):
        shutil.copyfile(toy_run.path(name), folder / name)
    line = fails(
        monkeypatch, "seal", recipe, "--runs", folder.parent, "--bundles", tmp_path / "out"
    )
    assert line.endswith("verify.json is missing: run `verify` first")
    assert not (tmp_path / "out").exists()


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, recipe: Path) -> None:
    def fail(*_: object) -> Run:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "open_run", fail)
    monkeypatch.setattr(sys, "argv", ["model_export", "export", str(recipe)])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(ZeroDivisionError):
        commands.main()


def test_a_disagreement_is_recorded_and_fails(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, toy_run: Run, tmp_path: Path
) -> None:
    shutil.copytree(toy_run.folder, tmp_path / "runs" / "toy")

    def disagree(run: Run, model: object, precision: str) -> Agreement:
        return Agreement(precision, 0.1, close_share=1.0, different_tokens=1)

    monkeypatch.setattr("model_export.verify.verify", disagree)
    arguments = ["verify", str(recipe), "--runs", str(tmp_path / "runs")]
    assert CliRunner().invoke(commands.app, arguments).exit_code == 1
    record = json.loads((tmp_path / "runs" / "toy" / "verify.json").read_text(encoding="utf-8"))
    assert [record[name]["holds"] for name in ("int8", "fp32")] == [False, False]


def test_a_head_learns_from_both_directions(
    monkeypatch: pytest.MonkeyPatch,
    recipe: Path,
    toy_run: Run,
    toy_bundle: Bundle,
    tmp_path: Path,
) -> None:
    shutil.copytree(toy_run.folder, tmp_path / "runs" / "toy")
    text = toy.RECIPE + "\n[sharpening]\nsteps = 3\nby_heads = 20\n"
    recipe.write_text(text, encoding="utf-8")
    places: list[str | Path] = [
        "--data",
        toy_run.data,
        "--runs",
        tmp_path / "runs",
        "--bundles",
        tmp_path,
    ]
    assert "fr-en" in fails(monkeypatch, "sharpen", recipe, *places)
    run = open_run(recipe, toy_run.data, tmp_path / "runs")
    before = run.best.read_bytes()
    monkeypatch.setattr(commands, "reverse_of", lambda *_: toy_bundle.folder)
    commands.sharpen(recipe, toy_run.data, tmp_path / "runs")
    assert 0 < np.count_nonzero(load_ragged(run.path(sharpen.AGREED))["links"].lengths) <= 20
    assert run.path("unsharpened.pt").read_bytes() == before != run.best.read_bytes()


def test_targets_are_translated_back_without_other_texts(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, toy_run: Run, toy_bundle: Bundle, tmp_path: Path
) -> None:
    text, count = re.subn(r"steps = 0\nwarmup = 1\n", "steps = 2\nwarmup = 1\n", toy.RECIPE)
    assert count == 1
    recipe.write_text(text.replace("pairs = 40\n", "pairs = 0\nback_pairs = 4\n"), encoding="utf-8")
    shutil.copytree(toy_run.folder, tmp_path / "runs" / "toy")
    monkeypatch.setattr(commands, "reverse_of", lambda *_: toy_bundle.folder)
    monkeypatch.setattr("model_export.distil.distil", lambda *_: [])
    places = ["--data", str(toy_run.data), "--runs", str(tmp_path / "runs")]
    result = CliRunner().invoke(commands.app, ["distil", str(recipe), *places])
    assert result.exit_code == 0, result.output
    assert "4 of 4 texts translated back" in result.output


def test_refine_goes_on_and_begins_again(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, toy_run: Run, tmp_path: Path
) -> None:
    """A finished refinement is not made again by `--resume`, and a second is like the first."""
    shutil.copytree(toy_run.folder, tmp_path / "runs" / "toy")
    text, count = re.subn(r"steps = 0\nwarmup = 1\n", "steps = 2\nwarmup = 1\n", toy.RECIPE)
    assert count == 1
    recipe.write_text(text, encoding="utf-8")
    run = open_run(recipe, toy_run.data, tmp_path / "runs")
    distil.save(run, [([5, 6], [7, 8])])
    before, steps = run.best.read_bytes(), []
    make_step = Trainer.train_step

    def train_step(trainer: Trainer, batch: Batch) -> dict[str, Tensor]:
        steps.append(trainer.at.step)
        return make_step(trainer, batch)

    monkeypatch.setattr(Trainer, "train_step", train_step)
    monkeypatch.setattr("model_export.train.faster_in_bf16", lambda _: False)
    said = []
    for options in ([], ["--resume"], [], ["--again"]):
        places = ["--data", str(toy_run.data), "--runs", str(tmp_path / "runs")]
        result = CliRunner().invoke(commands.app, ["refine", str(recipe), *places, *options])
        assert result.exit_code == 0, result.output
        said.append("finished before" in result.output)
    assert said == [False, True, False, False]
    assert steps == [0, 1] * 3
    assert run.unrefined.read_bytes() == before
    both = CliRunner().invoke(commands.app, ["refine", str(recipe), "--again", "--resume"])
    assert both.exit_code == 2


def test_subwords_are_trained_and_the_corpus_encoded(recipe: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    pairs = [toy.pair(rng).line() for _ in range(300)]
    with gzip.open(tmp_path / "train.tsv.gz", "wt", encoding="utf-8") as out:
        out.writelines(pairs)
    text = re.sub(r"^size = .*$", "size = 300", toy.RECIPE, flags=re.MULTILINE)
    recipe.write_text(text, encoding="utf-8")
    commands.subwords(recipe, tmp_path, tmp_path / "runs")
    run = open_run(recipe, tmp_path, tmp_path / "runs")
    assert run.folder == tmp_path / "runs" / "toy"
    rows, tokenizers = load_ragged(run.path("corpus.npz")), run.tokenizers()
    for side, tokenizer, column in zip(("source", "target"), tokenizers, (0, 1), strict=True):
        assert tokenizer.size == 300
        texts = [tokenizer.decode(rows[side][i].tolist()).text for i in range(len(rows[side]))]
        assert texts == [line.split("\t")[column] for line in pairs]


def test_all_training_pairs_are_labelled(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, toy_run: Run, tmp_path: Path
) -> None:
    lines = ["The cat.\tLe chat.\ttoy\n", "A tree.\tUn arbre.\ttoy\n", "x\ty\tother\n"]
    with gzip.open(tmp_path / "train.tsv.gz", "wt", encoding="utf-8") as out:
        out.writelines(lines)
    run = dataclasses.replace(open_run(recipe, tmp_path, tmp_path / "runs"), data=tmp_path)
    for model in (toy_run.source_model, toy_run.target_model):
        shutil.copyfile(model, run.path(model.name))
    commands.encode_corpus(run, corpus.training_pairs(tmp_path, run.recipe.corpus))

    def label(source: Ragged, target: Ragged, *symmetrizations: str) -> tuple[Ragged, Ragged]:
        ways = run.recipe.labels.symmetrization, run.recipe.sharpening.symmetrization
        assert (len(source), symmetrizations) == (2, ways)
        texts = [run.tokenizers()[1].decode(target[i].tolist()).text for i in range(2)]
        assert texts == ["Le chat.", "Un arbre."]
        return Ragged.of([[1 << 16 | 1], []]), Ragged.of([[0], [1]])

    monkeypatch.setattr("model_export.labels.label_links", label)
    commands.make_labels(recipe, tmp_path, tmp_path / "runs")
    pairs = load_corpus(run)
    assert pairs.links[0].tolist() == [1 << 16 | 1]
    assert pairs.shares.tolist() == [1.0, 1.0]
    assert load_ragged(run.path(sharpen.FILE))["links"][1].tolist() == [1], "for a later recipe"


def test_subwords_can_be_kept(toy_run: Run, tmp_path: Path) -> None:
    data = Path(shutil.copytree(toy_run.data, tmp_path / "data"))
    run = Run(toy_run.recipe, data, data / "runs" / "toy")
    run.source_model.write_bytes(toy_run.target_model.read_bytes())
    commands.subwords(data / "toy.toml", data, data / "runs", keep=True)
    assert run.source_model.read_bytes() == toy_run.target_model.read_bytes()
    first = corpus.training_pairs(data, run.recipe.corpus)[0]
    assert load_ragged(run.path("corpus.npz"))["source"][0].tolist() == [
        *run.tokenizers()[0].encode(first.source).ids
    ]


def test_a_run_begins_with_a_bundle(
    recipe: Path, toy_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = ("--bundle", str(toy_bundle.folder), "--runs", str(tmp_path))
    result = CliRunner().invoke(commands.app, ["restore", str(recipe), *places])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "toy" / "best.pt").is_file()
    other = recipe.read_text(encoding="utf-8").replace("alignment_head = ", "alignment_head = 1")
    recipe.write_text(other, encoding="utf-8")
    (tmp_path / "toy" / "source.model").write_bytes(b"mine")
    assert "as the recipe says" in fails(monkeypatch, "restore", recipe, *places)
    assert (tmp_path / "toy" / "source.model").read_bytes() == b"mine"


def test_a_sentence_is_drawn_from_a_sealed_bundle(toy_bundle: Bundle, tmp_path: Path) -> None:
    studies.draw(toy_bundle.folder, "The cat sees the dog.", tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_an_unsealed_folder_is_not_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "not verified and sealed" in fails(monkeypatch, "draw", tmp_path, "Hello.")


def test_damage_is_measured_with_a_sealed_bundle(toy_run: Run, toy_bundle: Bundle) -> None:
    arguments = ["damage", str(toy_bundle.folder), "--data", str(toy_run.data)]
    arguments += ["--set", "dev.tsv.gz", "--set", "gold.tsv.gz", "--pairs", "20"]
    result = CliRunner().invoke(commands.app, arguments, env={"NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    assert "first half of dev.tsv.gz" in result.output
    assert result.output.count("possible_hallucination") == 2 * 5


def test_a_set_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, toy_bundle: Bundle, tmp_path: Path
) -> None:
    line = fails(monkeypatch, "damage", toy_bundle.folder, "--data", tmp_path)
    assert line.endswith("tatoeba.en-fr.tsv.gz: No such file or directory")


def test_a_comparison_is_one_table_and_its_pictures(
    monkeypatch: pytest.MonkeyPatch, recipe: Path, tmp_path: Path
) -> None:
    def measure(run: Run, names: Sequence[str], device: object, report: object) -> list[Measured]:
        figures = (31.25, 50.0, None, 10.0, 3_140_000, 12.0, 67.0, None)
        return [Measured(name, *figures, {"dev": {"1–4": 30.0}}, ()) for name in names]

    monkeypatch.setattr(compare, "compare", measure)
    monkeypatch.setattr(compared, "draw", lambda run, rows: [run.path("length.png")])
    arguments = ["compare", str(recipe), "--runs", str(tmp_path), "--only", "dot", "--only", "none"]
    result = CliRunner().invoke(commands.app, arguments, env={"NO_COLOR": "1", "COLUMNS": "150"})
    assert result.exit_code == 0, result.output
    cells = [row.split() for row in result.output.replace("│", " ").splitlines()]
    assert ["dot", "31.2", "50.0", "–", "10.0", "3.1", "M", "12", "67", "–"] in cells
    assert any(row[:1] == ["none"] for row in cells)
    assert str(tmp_path / "toy" / "length.png") in result.output.replace("\n", "")


def test_a_run_that_watched_nothing_cannot_be_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = fails(monkeypatch, "explain", tmp_path)
    assert line == f"error: {tmp_path / 'watched.jsonl'}: No such file or directory"


def test_pictures_and_page_of_an_explanation_are_named(tmp_path: Path) -> None:
    pair = {"source": ["a"], "target": ["b"], "cross": [[1.0]]}
    moment = {"step": 0, "pairs": [pair], "gradients": {"the rest": 1.5}}
    (tmp_path / "watched.jsonl").write_text(json.dumps(moment) + "\n", encoding="utf-8")
    result = CliRunner().invoke(commands.app, ["explain", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert [Path(line).name for line in result.output.split()] == [
        "explain-1.png", "explain-gradients.png", "explain.html"
    ]  # fmt: skip


def test_damage_needs_a_set(toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_export.alarms.SETS", ())
    result = CliRunner().invoke(commands.app, ["damage", str(toy_bundle.folder)])
    assert result.exit_code == 2
    assert "--set" in result.output
