"""Exported folders before they are sealed."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from model_export import config, draft
from model_export.run import Run
from model_export.subwords import BOS, EOS, PAD
from service.bundle import open_bundle
from service.errors import DamagedBundle, UnsealedBundle
from service.keeping import FOR_NUMBERS, STAND_INS
from service.manifest import FORMAT, LinkRule, Special
from tests.architectures import ARCHITECTURES, lively, network

WRITTEN = (
    "lstm1-transformer-multi-head",
    "gru1-gru-top-fed-concat",
    "lstm2-gru-top-fed-none",
    "gru1-lstm-none-headless",
)
RULE = LinkRule("alignment", "mutual-best", 0.25)


@pytest.fixture
def run(toy_run: Run, tmp_path: Path) -> Run:
    """A copy of the int8 folder of the toy run, to be broken."""
    shutil.copytree(draft.folder(toy_run, "int8"), tmp_path / "toy" / "int8")
    return Run(toy_run.recipe, toy_run.data, tmp_path / "toy")


def test_each_precision_has_a_folder(run: Run) -> None:
    assert draft.folder(run, "int8").is_dir()
    assert draft.folder(run, "int8") != draft.folder(run, "fp32")


def test_a_draft_is_a_bundle_of_the_recipe(run: Run) -> None:
    bundle = draft.open_draft(run, "int8", RULE)
    manifest, recipe = bundle.manifest, run.recipe.bundle
    assert (manifest.format, manifest.name, manifest.licence) == (FORMAT, "toy", recipe.licence)
    for side, wanted in ((manifest.source, recipe.source), (manifest.target, recipe.target)):
        assert (side.code, side.name, side.joiner, side.words) == (
            wanted.code,
            wanted.name,
            wanted.joiner,
            wanted.words,
        )
        assert bundle.path(side.tokenizer).is_file()
    assert manifest.source.tokenizer != manifest.target.tokenizer
    assert manifest.sizes == asdict(run.recipe.model)
    assert manifest.architecture == (
        "1-layer bidirectional LSTM encoder, 2-layer GRU decoder, general attention, alignment head"
    )
    assert manifest.link_rule == RULE
    assert manifest.model.precision == "int8"
    assert manifest.model.special == Special(PAD, BOS, EOS)
    assert manifest.model.limits == draft.LIMITS
    for graph in manifest.model.graphs:
        assert bundle.path(graph.file).is_file()


def test_a_draft_cannot_pass_for_a_sealed_bundle(run: Run) -> None:
    bundle = draft.open_draft(run, "int8", RULE)
    assert bundle.manifest.version == "unsealed"
    assert bundle.manifest.files == ()
    with pytest.raises(UnsealedBundle):
        open_bundle(bundle.folder)


def test_a_folder_without_graphs_says_what_to_run(run: Run) -> None:
    with pytest.raises(
        draft.DraftError, match=r"fp32 holds no exported graphs: run `export` first"
    ):
        draft.open_draft(run, "fp32", RULE)


def test_a_damaged_description_is_named(run: Run) -> None:
    path = draft.folder(run, "int8") / draft.GRAPHS
    described = json.loads(path.read_text(encoding="utf-8"))
    del described["state"]
    path.write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(DamagedBundle, match=r"graphs\.json: missing field state"):
        draft.open_draft(run, "int8", RULE)


def test_writing_completes_an_exported_folder(run: Run, toy_run: Run) -> None:
    place = draft.folder(run, "int8")
    described = json.loads((place / draft.GRAPHS).read_text(encoding="utf-8"))
    for name in ("special", "limits"):
        del described[name]
    for name in (draft.GRAPHS, "source.model", "target.model"):
        (place / name).unlink()
    shutil.copyfile(toy_run.source_model, run.source_model)
    run.target_model.write_bytes(b"another")
    draft.write_model(run, "int8", described)
    assert draft.open_draft(run, "int8", RULE).manifest.model.special.eos == EOS
    assert (place / "source.model").read_bytes() == toy_run.source_model.read_bytes()
    assert (place / "target.model").read_bytes() == b"another"


def test_a_draft_has_stand_ins_if_the_recipe_has_and_some_of_them_for_numbers(run: Run) -> None:
    def made(keeping: config.Keeping) -> tuple[str, str]:
        recipe = replace(run.recipe, keeping=keeping)
        manifest = draft.open_draft(replace(run, recipe=recipe), "int8", RULE).manifest
        return manifest.stand_ins, manifest.number_stand_ins

    assert made(config.Keeping()) == made(config.Keeping(numbers=0.5)) == ("", "")
    assert made(config.Keeping(stand_ins=True)) == (STAND_INS, "")
    assert made(config.Keeping(stand_ins=True, numbers=0.5)) == (STAND_INS, FOR_NUMBERS)


def test_known_words_come_along_if_the_recipe_tells_names_by_them(run: Run) -> None:
    place = draft.folder(run, "int8")
    described = json.loads((place / draft.GRAPHS).read_text(encoding="utf-8"))
    for name in ("source.model", "target.model"):
        shutil.copyfile(place / name, run.path(name))
    telling = replace(run, recipe=replace(run.recipe, keeping=config.Keeping(True, 0.0, 5.0)))
    with pytest.raises(FileNotFoundError, match=r"run `subwords` first.*known\.txt"):
        draft.write_model(telling, "int8", described)
    telling.path("known.txt").write_text("door\n", encoding="utf-8")
    draft.write_model(telling, "int8", described)
    assert draft.open_draft(telling, "int8", RULE).manifest.known_words == "known.txt"
    assert "known.txt" in draft.checksums(telling, "int8")
    draft.write_model(run, "int8", described)
    assert draft.open_draft(run, "int8", RULE).manifest.known_words == ""
    assert not (place / "known.txt").exists()


def test_checksums_tell_every_file_that_changed(run: Run) -> None:
    before = draft.checksums(run, "int8")
    graphs = {f"{role}.onnx" for role in ("encoder", "decoder", "candidates", "forced")}
    assert set(before) == {*graphs, "source.model", "target.model"}
    assert draft.checksums(run, "int8") == before
    for name in before:
        path = draft.folder(run, "int8") / name
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        after = draft.checksums(run, "int8")
        assert {key for key in before if after[key] != before[key]} == {name}
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("sizes", "encoder", "decoder", "rest"),
    [
        (
            network("lstm", "gru", "general", layers=2, top=12),
            "2-layer bidirectional LSTM encoder",
            "2-layer GRU decoder",
            "general attention, alignment head",
        ),
        (
            network("gru", "lstm", "additive", input_feeding=True, alignment_head=0),
            "1-layer bidirectional GRU encoder",
            "1-layer LSTM decoder",
            "additive attention, input feeding",
        ),
        (
            network("transformer", "transformer", "multi-head", layers=2),
            "2-layer Transformer encoder",
            "2-layer Transformer decoder",
            "multi-head attention, alignment head",
        ),
        (
            network("lstm", "gru", "none", alignment_head=0),
            "1-layer bidirectional LSTM encoder",
            "1-layer GRU decoder",
            "no attention",
        ),
    ],
)
def test_an_architecture_is_said_in_words(
    sizes: config.Model, encoder: str, decoder: str, rest: str
) -> None:
    assert draft.architecture(sizes) == f"{encoder}, {decoder}, {rest}"


def test_every_network_is_written_complete(run: Run, toy_run: Run) -> None:
    for path in (toy_run.source_model, toy_run.target_model):
        shutil.copyfile(path, run.path(path.name))
    source, target = run.tokenizers()
    for sizes in (ARCHITECTURES[name] for name in WRITTEN):
        made = Run(replace(run.recipe, model=sizes), run.data, run.folder)
        model = lively(sizes, pieces=(source.size, target.size))
        folders = draft.write(made, model, ["fp32", "int8"])
        assert folders == {name: draft.folder(made, name) for name in ("fp32", "int8")}
        for precision in folders:
            manifest = draft.open_draft(made, precision).manifest
            assert manifest.model.precision == precision
            assert manifest.sizes == asdict(sizes)
            assert manifest.architecture == draft.architecture(sizes)
            kinds = [attention.kind for attention in manifest.model.attention]
            assert manifest.link_rule.attention == (kinds[-1] if kinds else "none")
