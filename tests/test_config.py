"""Recipes: what is read, and that every mistake is named."""

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from model_export import config
from model_export.config import RecipeError, check
from model_export.recipe import model_of, read_recipe
from tests import toy
from tests.architectures import ARCHITECTURES, network

RECIPES = sorted((Path(config.__file__).parent / "recipes").glob("*.toml"))

ENGLISH = 'source = { code = "en", name = "English", joiner = " ", words = "uax29" }'


def read(folder: Path, text: str) -> config.Recipe:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path)


def changed(old: str, new: str) -> str:
    """The toy recipe with something else where it matches a pattern."""
    text, count = re.subn(old, new, toy.RECIPE, count=1, flags=re.MULTILINE)
    assert count == 1, "the pattern should match one place"
    return text


def test_there_are_recipes() -> None:
    assert "en-fr" in [path.stem for path in RECIPES]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_reads(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.bundle.name == path.stem
    assert recipe.evaluation.tuning in recipe.evaluation.alignment
    assert recipe.training.warmup < recipe.training.steps
    for source in recipe.corpus.sources.values():
        assert source.licence
        assert source.url


def test_values_arrive_with_their_types(tmp_path: Path) -> None:
    recipe = read(tmp_path, toy.RECIPE)
    assert recipe.bundle.source == config.Language("en", "English", " ", "uax29")
    assert recipe.corpus.files == ("train.tsv.gz",)
    assert recipe.corpus.sources["toy"].attribution == "the test suite"
    assert type(recipe.training.learning_rate) is float
    assert type(recipe.training.batch_tokens) is int
    assert recipe.evaluation.alignment == ("gold.tsv.gz",)


def test_a_recipe_cannot_be_changed(tmp_path: Path) -> None:
    recipe = read(tmp_path, toy.RECIPE)
    with pytest.raises(AttributeError):
        recipe.training.steps = 1  # type: ignore[misc]


def test_a_whole_number_will_do_for_a_float(tmp_path: Path) -> None:
    ratio = read(tmp_path, changed("max_ratio = .*", "max_ratio = 3")).corpus.max_ratio
    assert type(ratio) is float
    assert ratio == 3.0


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (r"^patience = .*$", "patience = 5\npatients = 6", r"unknown key training\.patients"),
        (r"\[bundle\]", "author = 'me'\n[bundle]", "unknown key author"),
        ('code = "en", ', 'code = "en", cod = "e", ', r"unknown key bundle\.source\.cod"),
        ('url = "about:blank"', 'url = ""\nyear = 1', r"unknown key corpus\.sources\.toy\.year"),
        (r"^patience = .*$", "", r"missing key training\.patience"),
        ('code = "fr", ', "", r"missing key bundle\.target\.code"),
        ('attribution = "the test suite"\n', "", r"missing key corpus\.sources\.toy\.attribution"),
        (r"^steps = .*$", 'steps = "240"', r"training\.steps must be of type int"),
        (r"^steps = .*$", "steps = 240.0", r"training\.steps must be of type int"),
        (r"^steps = .*$", "steps = true", r"training\.steps must be of type int"),
        (r"^clip = .*$", "clip = true", r"training\.clip must be of type float"),
        ('name = "toy"', "name = 5", r"bundle\.name must be of type str"),
        (r"^files = .*$", 'files = "train.tsv.gz"', r"corpus\.files must be a list of strings"),
        (r"^files = .*$", "files = [1]", r"corpus\.files must be a list of strings"),
        (ENGLISH, "source = 5", r"\[bundle\.source\] must be a table"),
        (r'kind = "gru", ', 'kind = "gru", layer = 1, ', r"unknown key model\.decoder\.layer"),
        (r'kind = "lstm", ', "", r"missing key model\.encoder\.kind"),
        (r"^attention = .*$", "", r"missing key model\.attention"),
        (r"^attention = .*$", 'attention = "dot"', r"\[model\.attention\] must be a table"),
        ("top = 24", "top = true", r"model\.decoder\.top must be of type int"),
        ("top = 24", "input_feeding = 1", r"model\.decoder\.input_feeding must be of type bool"),
        (r"^alignment_head = .*$", "alignment_head = -8", r"model\.alignment_head must be a width"),
        (r"^dev_every = .*$", "dev_every = 0", r"training\.dev_every must be at least 1"),
        (r"^dev_sentences = .*$", "dev_sentences = 0", r"training\.dev_sentences must be at le"),
        ('words = "uax29" }', 'words = "words" }', r"bundle\.source\.words must be one of uax29, "),
        (
            'words = "uax29-elision"',
            'words = "elision"',
            r"bundle\.target\.words must be one of ua",
        ),
        (
            'kind = "general"',
            'kind = "genral"',
            r"model\.attention\.kind must be one of additive, ",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        read(tmp_path, changed(old, new))


@pytest.mark.parametrize("name", ["bundle", "corpus", "training", "evaluation"])
def test_every_table_is_needed_and_is_a_table(tmp_path: Path, name: str) -> None:
    lines = toy.RECIPE.splitlines()
    kept, inside = [], False
    for line in lines:
        if line.startswith("["):
            inside = line.startswith((f"[{name}]", f"[{name}."))
        kept += [] if inside else [line]
    text = "\n".join(kept)
    assert name not in tomllib.loads(text)
    with pytest.raises(RecipeError, match=f"missing key {name}"):
        read(tmp_path, text)
    with pytest.raises(RecipeError, match=rf"\[{name}\] must be a table"):
        read(tmp_path, f"{name} = 1\n{text}")


def test_sources_are_a_table_of_tables(tmp_path: Path) -> None:
    start, end = toy.RECIPE.index("[corpus.sources.toy]"), toy.RECIPE.index("[subwords]")
    without = toy.RECIPE[:start] + "sources = 1\n" + toy.RECIPE[end:]
    with pytest.raises(RecipeError, match=r"corpus\.sources must be a table"):
        read(tmp_path, without)


@pytest.mark.parametrize("content", [b"[bundle\n", b"a = \n", b"name = '\xff'\n"])
def test_what_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"recipe\.toml is not TOML"):
        read_recipe(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot read .*nowhere\.toml: No such file"):
        read_recipe(tmp_path / "nowhere.toml")
    with pytest.raises(RecipeError, match="cannot read"):
        read_recipe(tmp_path)


def test_what_belongs_to_some_kinds_alone_may_be_left_out(tmp_path: Path) -> None:
    model = read(tmp_path, toy.RECIPE).model
    assert model.encoder == config.Encoder("lstm", 64, 64, 1, heads=0, inner=0)
    assert model.decoder == config.Decoder(
        "gru", 48, 64, top=24, input_feeding=False, layers=1, heads=0, inner=0
    )
    assert model.attention == config.Attention("general", size=0, window=0, heads=1)


def test_the_parts_of_a_model_are_tables_of_their_own(tmp_path: Path) -> None:
    """Inline or not, as TOML allows."""
    line = r"^attention = .*$"
    text = changed(line, "").replace(
        "[training]", '[model.attention]\nkind = "multi-head"\nheads = 4\n\n[training]'
    )
    model = read(tmp_path, text).model
    assert model.attention == config.Attention("multi-head", heads=4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_sizes_of_a_manifest_are_the_model_again(name: str) -> None:
    model = ARCHITECTURES[name]
    check(model)
    sizes = json.loads(json.dumps(dataclasses.asdict(model)))
    assert model_of(sizes) == model


def test_sizes_that_cannot_be_used_are_named() -> None:
    sizes: dict[str, Any] = dataclasses.asdict(network("lstm", "gru", "dot"))
    with pytest.raises(RecipeError, match=r"unknown key sizes\.depth"):
        model_of({**sizes, "depth": 3})
    with pytest.raises(RecipeError, match=r"unknown key sizes\.encoder\.depth"):
        model_of({**sizes, "encoder": {**sizes["encoder"], "depth": 3}})
    with pytest.raises(RecipeError, match=r"missing key sizes\.decoder"):
        model_of({name: part for name, part in sizes.items() if name != "decoder"})
    with pytest.raises(RecipeError, match="dot attention needs"):
        model_of({**sizes, "decoder": {**sizes["decoder"], "size": 8}})


RECURRENT = network("lstm", "gru", "general")
TRANSFORMER = network("transformer", "transformer", "multi-head")
EVERY_KIND = "gru, lstm, transformer"


@pytest.mark.parametrize(
    ("model", "part", "wrong", "named"),
    [
        (RECURRENT, "encoder", {"kind": "rnn"}, rf"encoder\.kind must be one of {EVERY_KIND}"),
        (RECURRENT, "decoder", {"kind": "rnn"}, rf"decoder\.kind must be one of {EVERY_KIND}"),
        (RECURRENT, "attention", {"kind": "luong"}, r"attention\.kind must be one of additive, "),
        (RECURRENT, "encoder", {"layers": 0}, r"encoder\.layers must be at least 1"),
        (TRANSFORMER, "decoder", {"layers": 0}, r"decoder\.layers must be at least 1"),
        (RECURRENT, "decoder", {"layers": 2}, r"a recurrent decoder has one layer"),
        (RECURRENT, "encoder", {"size": 15}, r"encoder\.size must be even: half of it is a direct"),
        (RECURRENT, "attention", {"kind": "additive", "size": 0}, "additive attention needs"),
        (RECURRENT, "attention", {"kind": "concat", "size": 0}, "concat attention needs"),
        (RECURRENT, "attention", {"kind": "local-p", "window": 0}, "local-p attention needs"),
        (
            network("lstm", "gru", "dot"),
            "decoder",
            {"size": 18},
            r"dot attention needs model\.encoder\.size = model\.decoder\.size",
        ),
        (
            network("lstm", "gru", "multi-head"),
            "attention",
            {"heads": 3},
            r"model\.attention\.heads must divide its size, 16",
        ),
        (RECURRENT, "attention", {"kind": "multi-head", "heads": 0}, r"attention\.heads must div"),
        (TRANSFORMER, "attention", {"kind": "general"}, "Transformer decoder has multi-head"),
        (TRANSFORMER, "decoder", {"top": 4}, r"decoder\.top and input_feeding are of recurrent"),
        (TRANSFORMER, "decoder", {"input_feeding": True}, "input_feeding are of recurrent"),
        (TRANSFORMER, "encoder", {"heads": 3}, r"encoder\.heads must divide its size, 16"),
        (TRANSFORMER, "decoder", {"heads": 0}, r"decoder\.heads must divide its size, 16"),
        (TRANSFORMER, "encoder", {"inner": 0}, r"a Transformer needs model\.encoder\.inner"),
        (TRANSFORMER, "decoder", {"inner": 0}, r"a Transformer needs model\.decoder\.inner"),
        (
            TRANSFORMER,
            "decoder",
            {"size": 15, "heads": 3},
            r"decoder\.size must be even: half of a",
        ),
        (
            TRANSFORMER,
            "encoder",
            {"size": 260, "heads": 2},
            r"a head of model\.encoder may be at most 128 wide",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    model: config.Model, part: str, wrong: dict[str, Any], named: str
) -> None:
    check(model)
    changed_part = dataclasses.replace(getattr(model, part), **wrong)
    with pytest.raises(RecipeError, match=named):
        check(dataclasses.replace(model, **{part: changed_part}))


def test_the_widest_head_is_allowed() -> None:
    encoder = dataclasses.replace(TRANSFORMER.encoder, size=2 * config.WIDEST_HEAD, heads=2)
    check(dataclasses.replace(TRANSFORMER, encoder=encoder))


def test_a_catalogue_knows_what_the_shares_name(tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_text(
        '[toy]\nlicence = "CC0"\nattribution = "us"\nurl = "here"\n', encoding="utf-8"
    )
    shares = 'catalogue = "known.toml"\n\n[corpus.shares]\ntoy = 0.5\n'
    text, count = re.subn(r"\[corpus\.sources\.toy\]\n(?:\w+ = .*\n)+", "", toy.RECIPE)
    assert count == 1
    recipe = read(tmp_path, text.replace("\n[subwords]", f"{shares}\n[subwords]", 1))
    assert recipe.corpus.sources == {"toy": config.Source(0.5, "CC0", "us", "here")}
    assert recipe.refinement.origins == {"toy": config.Origin("CC0", "us", "here")}
    stranger = text.replace("\n[subwords]", shares.replace("toy", "odd") + "\n[subwords]", 1)
    with pytest.raises(RecipeError, match=r"corpus\.shares\.odd is not in known\.toml"):
        read(tmp_path, stranger)


@pytest.mark.parametrize("steps", [0, 1])
def test_where_a_corpus_of_refinement_comes_from_has_to_be_said(tmp_path: Path, steps: int) -> None:
    text, count = re.subn("origins = .*", 'back_corpora = ["lays"]', toy.RECIPE)
    assert count == 1
    told, count = re.subn(r"steps = 0\nwarmup = 1\n", f"steps = {steps}\nwarmup = 1\n", text)
    assert count == 1
    if not steps:
        read(tmp_path, told)
        return
    with pytest.raises(RecipeError, match=r"refinement\.origins\.toy is missing"):
        read(tmp_path, told)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('tuning = "gold.tsv.gz"', 'tuning = "else.tsv.gz"', "must be one of evaluation.alignment"),
        ('tuning = "gold.tsv.gz"', "", "must be one of evaluation.alignment"),
        ('translation = ["dev.tsv.gz"]', "translation = []", "evaluation.translation must name"),
        (
            'tuning = "gold.tsv.gz"',
            'tuning = "gold.tsv.gz"\nrules = ["none"]',
            "rules must be some",
        ),
        ('tuning = "gold.tsv.gz"', 'tuning = "gold.tsv.gz"\nrules = []', "rules must be some of"),
    ],
)
def test_what_measures_has_to_be_there(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in toy.RECIPE
    with pytest.raises(RecipeError, match=said):
        read(tmp_path, toy.RECIPE.replace(old, new))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[model]\nalignment_head = 0\n[sharpening]\nsteps = 9", "sharpening.steps needs"),
        ("[refinement]\nsteps = 9\npairs = 0\ncorpora = []", "refinement needs texts"),
        ("[refinement]\nsteps = 9\nback_variants = 0", "back_variants must be from 1"),
        ("[refinement]\nsteps = 9\nback_variants = 3", "back_variants must be from 1"),
        ("[refinement]\nsteps = 9\nlexica = { words = 2 }", "lexica.words is no corpus of"),
        ("[refinement]\nsteps = 9\nlexica = { toy = 2 }", "lexica needs texts"),
    ],
)
def test_a_later_stage_needs_what_it_is_of(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "base.toml").write_text(toy.RECIPE, encoding="utf-8")
    extended = f'extends = "base.toml"\n{table}\n'
    with pytest.raises(RecipeError, match=said):
        read(tmp_path, extended)
    read(tmp_path, extended.replace("steps = 9", "steps = 0"))


def test_gold_alignments_may_be_missing(tmp_path: Path) -> None:
    text = re.sub(r"(alignment|tuning) = .*gold.*\n", "", toy.RECIPE)
    assert read(tmp_path, text).evaluation == config.Evaluation(("dev.tsv.gz",))


@pytest.mark.parametrize("part", ["labels", "sharpening"])
def test_an_unknown_symmetrization_is_named(tmp_path: Path, part: str) -> None:
    (tmp_path / "base.toml").write_text(toy.RECIPE, encoding="utf-8")
    text = f'extends = "base.toml"\n[{part}]\nsymmetrization = "vote"\n'
    with pytest.raises(RecipeError, match=f"{part}.symmetrization must be one of.*grow-diag"):
        read(tmp_path, text)


def test_numbers_in_words_are_learnt_by_what_keeps_numbers(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(toy.RECIPE, encoding="utf-8")
    text = 'extends = "base.toml"\n[keeping]\nnumber_words = 0.4\n'
    with pytest.raises(RecipeError, match="number_words needs"):
        read(tmp_path, text)
    assert read(tmp_path, text + "numbers = 0.5\n").keeping.number_words == 0.4


def test_a_recipe_extends_another(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base = read(tmp_path / "base", toy.RECIPE)
    text = 'extends = "base/recipe.toml"\n[training]\nsteps = 7\n[keeping]\nnames = 0.5\n'
    training = dataclasses.replace(base.training, steps=7)
    expected = dataclasses.replace(base, training=training, keeping=config.Keeping(names=0.5))
    assert read(tmp_path, text) == expected


def test_what_is_extended_keeps_its_catalogue(tmp_path: Path) -> None:
    recipes = Path(config.__file__).with_name("recipes")
    (tmp_path / "base").symlink_to(recipes.parent)
    text = 'extends = "base/recipes/en-zh.toml"\n[corpus.shares]\ntatoeba = 0.5\n'
    made, base = read(tmp_path, text), read_recipe(recipes / "en-zh.toml")
    tatoeba = dataclasses.replace(base.corpus.sources["tatoeba"], share=0.5)
    corpus = dataclasses.replace(base.corpus, sources={"tatoeba": tatoeba})
    assert made == dataclasses.replace(base, corpus=corpus)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "other.toml"', "cannot read .*other.toml"),
        ('extends = "recipe.toml"', "must not extend another"),
        ('extends = "base.toml"\n[model]\nlayers = 2', "model.layers"),
        ('extends = "base.toml"\ncorpus = 3', "corpus"),
    ],
)
def test_what_cannot_be_extended_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "base.toml").write_text(toy.RECIPE, encoding="utf-8")
    with pytest.raises(RecipeError, match=said):
        read(tmp_path, text)


def test_the_transformer_of_the_record_follows_the_recipe_of_the_bundle() -> None:
    folder = Path(config.__file__).with_name("recipes")
    ours, other = (read_recipe(folder / f"{name}.toml") for name in ("fr-en", "fr-en-transformer"))
    assert other.model.encoder.kind == other.model.decoder.kind == "transformer"
    assert dataclasses.replace(other, bundle=ours.bundle, model=ours.model) == ours
