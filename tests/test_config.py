"""Recipes: what is read, and that every mistake is named."""

import re
import tomllib
from pathlib import Path

import pytest

from model_export import config
from model_export.config import RecipeError, read_recipe
from tests import toy

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
