"""Texts of one language: new ones only, each with the corpus that it is from."""

import dataclasses
import gzip
import shutil
from pathlib import Path

import pytest

from model_export import corpus, extra_texts
from model_export.extra_texts import Text
from model_export.run import Run
from model_export.seal import training_data


@pytest.fixture
def run(toy_run: Run, tmp_path: Path) -> Run:
    """The toy run, with a file of texts of both languages in its first column."""
    folder = Path(shutil.copytree(toy_run.data, tmp_path / "data"))
    known = corpus.training_pairs(toy_run.data, toy_run.recipe.corpus)[0]
    with gzip.open(folder / "more.tsv.gz", "wt", encoding="utf-8") as out:
        for text in (
            known.source.upper(),
            known.target.upper(),
            "A moon!",
            "a moon",
            "",
            "a" * 999,
        ):
            out.write(f"{text}\t-\ttoy\n")
        out.write("Another moon.\t-\telsewhere\n")
    options = dataclasses.replace(
        toy_run.recipe.refinement,
        files=("more.tsv.gz",),
        corpora=("toy",),
        back_files=("more.tsv.gz",),
        back_corpora=("toy",),
        steps=1,
    )
    recipe = dataclasses.replace(toy_run.recipe, refinement=options)
    return Run(recipe, folder, folder / "runs" / "toy")


def test_what_is_known_of_a_side_is_not_new_to_it(run: Run) -> None:
    known = corpus.training_pairs(run.data, run.recipe.corpus)[0]
    assert list(extra_texts.of_source(run)) == [
        Text(known.target.upper(), "toy"),
        Text("A moon!", "toy"),
    ]
    assert list(extra_texts.of_target(run)) == [
        Text(known.source.upper(), "toy"),
        Text("A moon!", "toy"),
    ]


def test_the_bundle_names_what_refinement_learnt_from(run: Run) -> None:
    pairs, *texts = training_data(run)
    assert pairs["corpus"] == "toy"
    assert [(row["corpus"], row["texts"], row["side"]) for row in texts] == [
        ("toy", 2, "source"),
        ("toy", 2, "target"),
    ]
    assert all({"licence", "attribution", "url"} <= row.keys() for row in texts)
    options = dataclasses.replace(run.recipe.refinement, steps=0)
    bare = Run(dataclasses.replace(run.recipe, refinement=options), run.data, run.folder)
    assert training_data(bare) == [pairs]


@pytest.mark.parametrize("files", [(), ("more.tsv.gz",)])
@pytest.mark.parametrize("back", [False, True])
def test_a_corpus_without_any_text_is_named(run: Run, back: bool, files: tuple[str, ...]) -> None:
    options = dataclasses.replace(
        run.recipe.refinement,
        files=files,
        corpora=() if back else ("elsewhere", "toys"),
        back_files=files,
        back_corpora=("elsewhere", "toys") if back else (),
    )
    made = Run(dataclasses.replace(run.recipe, refinement=options), run.data, run.folder)
    texts, none = extra_texts.of_source(made), extra_texts.of_target(made)
    with pytest.raises(corpus.CorpusError, match=r"no text of (elsewhere, )?toys$"):
        list(none if back else texts)
    assert list(texts if back else none) == []
