"""Distillation: what the beam says is kept, what measures is never learnt, and training goes on."""

import dataclasses
import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_export import checkpoint, corpus, distil
from model_export import train as training
from model_export.corpus import Encoded, Ragged
from model_export.run import Run, load_corpus, load_ragged
from service.bundle import Bundle
from service.options import Pair
from service.translator import Translator
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
    found = ["Le chat voit.", "Le roi.", "Le chien voit."]
    assert distil._closest(found, "Le chien voit", 0.0) == "Le chien voit."
    assert distil._closest(found, "Roi", 0.0) == "Le roi."
    assert distil._closest([], "Le roi.", 0.0) == ""


def test_what_is_far_from_the_reference_is_not_learnt() -> None:
    assert distil._closest(["Le chien voit."], "Le chien voit", 50.0) == "Le chien voit."
    assert distil._closest(["Le chien voit."], "Une lune", 50.0) == ""


def test_without_a_reference_the_likeliest_is_taken() -> None:
    scores = {(3, "a"): -2.0, (3, "b"): -1.0, (4, "a"): -0.5}
    assert distil._likeliest(["a", "b"], 3, scores) == "b"
    assert distil._likeliest(["a", "b"], 5, {}) == "a", "the best of a lone teacher"
    assert distil._likeliest([], 3, scores) == ""


def test_another_bundle_teaches_too(run: Run, toy_bundle: Bundle) -> None:
    asked = []

    def likely(teachers: list[Translator], pairs: list[Pair]) -> list[float]:
        asked.extend(pairs)
        return [-float(len(str(pair.target))) for pair in pairs]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distil, "_likelihoods", likely)
        pairs = distil.distil(run, [toy_bundle], lambda _: None)
    assert len(pairs) == 42
    assert {pair.source for pair in asked} == set(MORE), "the others have a reference"
    _, target = run.tokenizers()
    shortest = min((str(p.target) for p in asked if p.source == MORE[0]), key=len)
    assert len(target.decode(pairs[40][1]).text) == len(shortest)


def test_teachers_think_together(run: Run, toy_bundle: Bundle, translator: Translator) -> None:
    given = [Pair(MORE[0], translated(MORE[0])), Pair(MORE[0], translated(MORE[1]))]
    alone = distil._likelihoods([translator], given)
    assert alone[0] > alone[1]
    assert distil._likelihoods([translator, translator], given) == [2 * one for one in alone]
    assert distil._likelihoods([translator], []) == []


def test_what_was_chosen_is_not_done_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distil, "AT_ONCE", 15)
    whole = distil.distil(run, [], lambda _: None)
    lines = run.path(distil.CHOSEN).read_text(encoding="utf-8").splitlines(keepends=True)
    run.path(distil.CHOSEN).write_text("".join(lines[:2]), encoding="utf-8")
    said: list[str] = []
    assert distil.distil(run, [], said.append) == whole
    assert said == ["42 of 42 texts"]


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
    sharper = distil.with_distilled(pairs, {"source": source, "target": target}, power=2.0)
    assert sharper.shares.tolist() == [0.25, 1.0, 1.0, 1.0], "what was rare is rarer"


def test_what_is_learnt_has_its_marks_spaced(run: Run) -> None:
    french = dataclasses.replace(run.recipe.corpus, spaced_marks="?!")
    other = Run(dataclasses.replace(run.recipe, corpus=french), run.data, run.folder)
    text = f"{next(distil._texts(run))[1].rstrip('.?! ')}"
    made = [list(distil.encoded(one, [(text, f"{text}?")])) for one in (run, other)]
    spaced = list(distil.encoded(run, [(text, f"{text} ?")]))
    assert made[1] == spaced != made[0]


def test_what_is_learnt_has_the_same_numbers_if_the_model_is_to_keep_them(run: Run) -> None:
    counting = dataclasses.replace(run.recipe.keeping, stand_ins=True, numbers=0.5)
    other = Run(dataclasses.replace(run.recipe, keeping=counting), run.data, run.folder)
    texts = [("25.", "25."), ("25.", "2."), ("2.", "2.")]
    made = [len(list(distil.encoded(one, texts))) for one in (run, other)]
    assert made == [3, 2]


def test_what_training_has_little_of_refinement_has_less_of(run: Run) -> None:
    distil.save(run, distil.distil(run, [], lambda _: None))
    halves = np.full(len(load_corpus(run).source), 0.5, np.float32)
    np.save(run.path("shares.npy"), halves, allow_pickle=False)
    options = dataclasses.replace(run.recipe.refinement, share_power=2.0)
    other = Run(dataclasses.replace(run.recipe, refinement=options), run.data, run.folder)
    shares = load_corpus(distil.refinement(other)).shares
    assert set(shares[: len(halves)].tolist()) == {0.25}
    assert set(shares[len(halves) :].tolist()) == {1.0}


def test_what_training_has_little_of_is_seldom_distilled(run: Run) -> None:
    known = run.recipe.corpus.sources
    sources = {name: dataclasses.replace(one, share=0.5) for name, one in known.items()}
    options = dataclasses.replace(run.recipe.refinement, share_power=50.0)
    corpora = dataclasses.replace(run.recipe.corpus, sources=sources)
    recipe = dataclasses.replace(run.recipe, corpus=corpora, refinement=options)
    made = list(distil._texts(Run(recipe, run.data, run.folder)))
    assert made == [(text, "") for text in MORE]


def test_refinement_has_a_schedule_of_its_own(run: Run) -> None:
    distil.save(run, distil.distil(run, [], lambda _: None))
    own: dict[str, Any] = {"steps": 7, "warmup": 2, "learning_rate": 0.5, "consistency": 3.0}
    options = dataclasses.replace(run.recipe.refinement, **own)
    other = Run(dataclasses.replace(run.recipe, refinement=options), run.data, run.folder)
    expected = dataclasses.replace(run.recipe.training, **own)
    assert distil.refinement(other).recipe.training == expected != run.recipe.training


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


def test_what_was_chosen_for_other_texts_is_not_gone_on_with(run: Run) -> None:
    distil.distil(run, [], lambda _: None)
    again: list[str] = []
    distil.distil(run, [], again.append)
    assert not again, "nothing was left to do"
    options = dataclasses.replace(run.recipe.refinement, pairs=39)
    other = Run(dataclasses.replace(run.recipe, refinement=options), run.data, run.folder)
    with pytest.raises(distil.DistilError, match="other texts"):
        distil.distil(other, [], again.append)


@pytest.fixture
def trained(tmp_path: Path, toy_run: Run) -> Run:
    """A run whose weights are but a word."""
    made = dataclasses.replace(toy_run, folder=tmp_path / "run")
    made.best.write_bytes(b"trained")
    return made


def refined_of(run: Run, resume: bool = False, again: bool = False) -> bytes:
    """Refine the weights, and return what that began with."""
    refined = dataclasses.replace(run, folder=run.folder / "refined")
    began = distil.starting_weights(run, refined, resume, again).read_bytes()
    refined.best.write_bytes(began + b" refined")
    distil.adopt(run, refined)
    return began


def test_a_second_refinement_begins_where_the_first_did(trained: Run) -> None:
    assert [refined_of(trained), refined_of(trained)] == [b"trained"] * 2
    assert trained.best.read_bytes() == b"trained refined"
    assert refined_of(trained, again=True) == b"trained refined"
    assert refined_of(trained, resume=True) == b"trained refined", "what it began with"
    assert refined_of(trained) == b"trained"


def test_a_refinement_begins_with_a_head_that_is_not_sharp(trained: Run) -> None:
    for again in (False, True):
        before = trained.best.read_bytes()
        trained.unsharpened.write_bytes(before)
        trained.best.write_bytes(b"sharp")
        assert refined_of(trained, again=again) == before
        assert not trained.unsharpened.exists(), "the head is another now"


def test_what_was_refined_before_stays_sharpened(trained: Run) -> None:
    refined_of(trained)
    trained.unsharpened.write_bytes(trained.best.read_bytes())
    trained.best.write_bytes(b"sharp")
    refined_of(trained, resume=True)
    assert trained.best.read_bytes() == b"sharp"


def test_what_was_trained_since_is_refined(trained: Run) -> None:
    refined_of(trained)
    trained.forget_former()  # as `train` does when it finds better weights
    trained.best.write_bytes(b"trained anew")
    assert refined_of(trained, resume=True) == b"trained anew"
