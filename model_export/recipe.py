"""Reads a recipe from TOML into the dataclasses of `config`.

One that `extends` another, a path beside it, has the other's keys but for those that it sets.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_export.config import SEPARATOR, Model, Recipe, RecipeError, check
from model_export.tables import TableError, build
from service.alignment import RULES as ALL_RULES
from service.symmetrization import METHODS
from service.words import RULES

LINK_RULES = frozenset(ALL_RULES) - {"none"}


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; raises `RecipeError` that names the key at fault."""
    table = _extended(_read_toml(path), path.parent)
    recipe = _build(Recipe, _catalogued(table, path.parent), "")
    assert isinstance(recipe, Recipe)
    check(recipe.model)
    _check_parts(recipe)
    _check_later_stages(recipe)
    return recipe


def _check_parts(recipe: Recipe) -> None:
    """Raise `RecipeError` for what no stage could work with."""
    for side, language in (("source", recipe.bundle.source), ("target", recipe.bundle.target)):
        if language.words not in RULES:
            raise RecipeError(f"bundle.{side}.words must be one of {', '.join(RULES)}")
    for part, merged in (("labels", recipe.labels), ("sharpening", recipe.sharpening)):
        if merged.symmetrization not in METHODS:
            raise RecipeError(f"{part}.symmetrization must be one of {', '.join(METHODS)}")
    if recipe.keeping.number_words and not recipe.keeping.numbers:
        raise RecipeError("keeping.number_words needs keeping.numbers, which is 0")
    options = recipe.training
    for name, count in (("every", options.dev_every), ("sentences", options.dev_sentences)):
        if count < 1:
            raise RecipeError(f"training.dev_{name} must be at least 1")
    for pair in options.watched:
        if pair.count(SEPARATOR) != 1:
            raise RecipeError(f'training.watched: {pair!r} is not "source{SEPARATOR}target"')
    sets = recipe.evaluation
    if not sets.translation:
        raise RecipeError("evaluation.translation must name a set")
    if not sets.rules or not set(sets.rules) <= LINK_RULES:
        raise RecipeError(f"evaluation.rules must be some of {', '.join(sorted(LINK_RULES))}")
    if (sets.alignment or sets.tuning) and sets.tuning not in sets.alignment:
        raise RecipeError("evaluation.tuning must be one of evaluation.alignment")


def _check_later_stages(recipe: Recipe) -> None:
    """Raise `RecipeError` for a refinement or a sharpening that lacks what it is of."""
    if recipe.sharpening.steps and not recipe.model.alignment_head:
        raise RecipeError("sharpening.steps needs model.alignment_head, which is 0")
    used = recipe.refinement
    if not used.steps:
        return
    if not (used.pairs > 0 or used.corpora or used.back_corpora or used.back_pairs > 0):
        raise RecipeError("refinement needs texts: pairs, corpora, back_corpora or back_pairs")
    if not 1 <= used.back_variants <= used.beam_size:
        raise RecipeError("refinement.back_variants must be from 1 to beam_size")
    if strangers := sorted(used.lexica.keys() - recipe.corpus.sources.keys()):
        raise RecipeError(f"refinement.lexica.{strangers[0]} is no corpus of this recipe")
    if used.lexica and not used.back_corpora:
        raise RecipeError("refinement.lexica needs texts: refinement.back_corpora")
    for name in (*used.corpora, *used.back_corpora):
        if name not in used.origins:
            raise RecipeError(f"refinement.origins.{name} is missing: where {name} comes from")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error


def _extended(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a recipe's table on top of the one that it extends, section by section."""
    own = dict(table)
    if "extends" not in own:
        return own
    path = folder / str(own.pop("extends"))
    base = _read_toml(path)
    if "extends" in base:
        raise RecipeError(f"extends: {path} must not extend another recipe itself")
    corpus = base.get("corpus")
    if isinstance(corpus, dict) and "catalogue" in corpus:
        corpus["catalogue"] = str((path.parent / str(corpus["catalogue"])).absolute())
    for name, section in own.items():
        both = isinstance(section, dict) and isinstance(base.get(name), dict)
        base[name] = {**base[name], **section} if both else section
    return base


def _catalogued(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a recipe's table with the sources that its catalogue and its shares make."""
    corpus = table.get("corpus")
    if not isinstance(corpus, dict) or "catalogue" not in corpus:
        return table
    rest = {key: value for key, value in corpus.items() if key not in ("catalogue", "shares")}
    known, shares = _read_toml(folder / str(corpus["catalogue"])), corpus.get("shares", {})
    strangers = sorted(set(shares) - set(known))
    if strangers:
        raise RecipeError(f"corpus.shares.{strangers[0]} is not in {corpus['catalogue']}")
    sources = {name: {"share": share, **known[name]} for name, share in shares.items()}
    made = {**table, "corpus": {**rest, "sources": sources}}
    refinement = table.get("refinement")
    if isinstance(refinement, dict):
        used = [*refinement.get("corpora", ()), *refinement.get("back_corpora", ())]
        origins = {name: known[name] for name in used if name in known}
        made["refinement"] = {**refinement, "origins": origins}
    return made


def model_of(sizes: Mapping[str, object]) -> Model:
    """Return the network that a manifest's `sizes` describe; raises `RecipeError`."""
    model = _build(Model, dict(sizes), "sizes")
    assert isinstance(model, Model)
    check(model)
    return model


def _build(kind: type, table: object, at: str) -> object:
    try:
        return build(kind, table, at)
    except TableError as error:
        raise RecipeError(str(error)) from None
