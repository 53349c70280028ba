"""Distillation: what the beam says is kept, what measures is never learnt, and training goes on."""

import dataclasses
import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export import checkpoint, corpus, distil
from model_export import train as training
from model_export.corpus import Encoded, Ragged
from model_export.run import Run, load_corpus, load_ragged
from service.bundle import Bundle
from tests import toy

MORE = ("The red moon finds the old book.", "The young king hears the warm garden.")
"""Texts without translation, of the toy's grammar, that no file of it holds."""


@pytest.fixture
def run(toy_run: Run, tmp_path: Path) -> Run:
    """The trained toy run, to be refined, with a file of more texts."""
    folder = Path(shutil.copytree(toy_run.data, tmp_path / "data"))
    with gzip.open(folder / "more.tsv.gz", "wt", encoding="utf-8") as out:
        dev = corpus.read_pairs(toy_run.data, [toy_run.recipe.corpus.dev])
        measured = next(iter(dev)).source
        out.write(f"{measured.upper()} !\t-\ttoy\n{MORE[0]}\t-\ttoy\n")
        out.write(f"{MORE[0].removesuffix('.')}\t-\ttoy\n{MORE[1]}\t-\ttoy\n")
        out.write("The king sees the queen.\t-\telsewhere\n")
    options = dataclasses.replace(
        toy_run.recipe.refinement, files=("more.tsv.gz",), corpora=("toy",), steps=3
    )
    recipe = dataclasses.replace(toy_run.recipe, refinement=options)
    return Run(recipe, folder, folder / "runs" / "toy")


def test_the_beam_is_kept_with_its_source(run: Run) -> None:
    said: list[str] = []
    pairs = distil.distil(run, [], said.append)
    distil.save(run, pairs)
    found, count = load_ragged(run.path(distil.FILE)), len(pairs)
    source, target = run.tokenizers()
    texts = [
        (
            source.decode(found["source"][i].tolist()).text,
            target.decode(found["target"][i].tolist()).text,
        )
        for i in range(count)
    ]
    assert count == 40 + 2
    assert texts[40:] == [(text, translated(text)) for text in MORE], "nobody's else, none twice"
    right = [translated(text) == said for text, said in texts[:40]]
    assert np.mean(right) > 0.9
    assert said == ["42 of 42 texts"]


def translated(text: str) -> str:
    """What the toy's dictionary and grammar make of a text."""
    words = text.lower().removesuffix(".").split()
    known = {**toy.NOUNS, **toy.ADJECTIVES, **toy.VERBS, "the": "le"}
    out = [known[word] for word in words]
    for at, word in enumerate(words[:-1]):
        if word in toy.ADJECTIVES:
            out[at], out[at + 1] = out[at + 1], out[at]
    return toy.text((*out, "."))


def test_of_several_hypotheses_the_closest_to_the_reference_is_taken() -> None:
    lists = [["Le chat voit.", "Le roi."], ["Le chien voit.", "Le chat voit."]]
    assert distil._chosen(lists, "Le chien voit") == "Le chien voit."
    assert distil._chosen(lists, "Roi") == "Le roi."
    assert distil._chosen([[], []], "Le roi.") == ""


def test_without_a_reference_teachers_have_to_agree() -> None:
    alone = ["Le roi.", "Le chat voit.", "Un chat boit."]
    assert distil._chosen([alone], "") == "Le roi."
    assert distil._chosen([alone, ["Le chat voit"]], "") == "Le chat voit."
    assert distil._chosen([[]], "") == ""


def test_another_bundle_teaches_too(run: Run, toy_bundle: Bundle) -> None:
    seen = []

    def chosen(lists: list[list[str]], reference: str) -> str:
        seen.append(len(lists))
        return lists[1][0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distil, "_chosen", chosen)
        pairs = distil.distil(run, [toy_bundle], lambda _: None)
    assert set(seen) == {2}
    assert len(pairs) > 30


def test_distilled_pairs_come_behind_and_have_no_links() -> None:
    rows = ([[1, 2], [3]], [[4], [5, 6]], [[0], [1, 2]])
    source, target, links = (Ragged.of(some) for some in rows)
    pairs = Encoded(source, target, links, np.array([0.5, 1.0], np.float32))
    joined = distil.with_distilled(
        pairs, {"source": Ragged.of([[7, 8]]), "target": Ragged.of([[9]])}
    )
    assert [joined.source[i].tolist() for i in range(3)] == [[1, 2], [3], [7, 8]]
    assert [joined.target[i].tolist() for i in range(3)] == [[4], [5, 6], [9]]
    assert [joined.links[i].tolist() for i in range(3)] == [[0], [1, 2], []]
    assert joined.shares.tolist() == [0.5, 1.0, 1.0]


def test_training_goes_on_from_the_weights_and_keeps_only_what_is_better(run: Run) -> None:
    distil.save(run, distil.distil(run, [], lambda _: None))
    refined = distil.refinement(run)
    assert len(load_corpus(refined).source) == len(load_corpus(run).source) + 42
    assert refined.recipe.training.steps == 3
    before = checkpoint.load(run.best)["model"]
    torch.set_num_threads(1)
    training.train(refined, torch.device("cpu"), resume=False, start=run.best)
    log = refined.path("log.jsonl").read_text(encoding="utf-8")
    assert '"step": 0' in log
    assert '"step": 3' in log
    kept = checkpoint.load(refined.best)["model"]
    assert kept.keys() == before.keys()
