"""A toy bundle, trained, exported, verified and sealed once a test session by the real chain."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from matplotlib.figure import Figure

from model_export import __main__ as commands
from model_export import corpus
from model_export.arguments import open_run
from model_export.corpus import Ragged
from model_export.run import Run, save_ragged
from service.alignment import membership
from service.bundle import Bundle, open_bundle
from service.engine import Capacity, Engine
from service.translator import Translator
from service.words import words
from tests import toy
from tests.counting import CountingRunner

SHIPPED = Path(__file__).parents[1] / "service" / "bundles" / "en-fr"
CAPACITY = Capacity(workers=2, slots=16, batch_tokens=512, queue=1000)

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train the toy model and export, verify and measure it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("toy")
    toy.write(folder)
    recipe = folder / "toy.toml"
    recipe.write_text(toy.RECIPE, encoding="utf-8")
    runs = folder / "runs"
    run = open_run(recipe, folder, runs)
    for model in (run.source_model, run.target_model):  # real pieces: a toy word is one piece
        shutil.copyfile(SHIPPED / model.name, model)
    commands.encode_corpus(run, corpus.training_pairs(run.data, run.recipe.corpus))
    save_ragged(run.path("links.npz"), links=toy_links(run))
    commands.train(recipe, folder, runs)
    commands.export(recipe, folder, runs)
    commands.verify(recipe, folder, runs)
    commands.evaluate(recipe, folder, runs, folder / "bundles")
    commands.seal(recipe, folder, runs, bundles=folder / "bundles")
    return run


@pytest.fixture(scope="session")
def toy_bundle(toy_run: Run) -> Bundle:
    """The sealed toy bundle."""
    return open_bundle(toy_run.data / "bundles" / "toy")


@pytest.fixture
def translator(toy_bundle: Bundle) -> Iterator[Translator]:
    """A translator of the toy bundle, stopped after the test."""
    made = Translator(toy_bundle, CAPACITY)
    yield made
    made.close(1.0)


@pytest.fixture
def runner() -> CountingRunner:
    """A stand-in for the model that counts."""
    return CountingRunner()


@pytest.fixture
def engine(runner: CountingRunner) -> Iterator[Engine]:
    """A small engine on it: one worker with four rows, six sentences in its queue."""
    made = Engine(runner, Capacity(workers=1, slots=4, batch_tokens=64, queue=6))
    yield made
    runner.gate.set()
    made.close(2.0)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, path: Path, dpi: int) -> None:
        figures.append(figure)
        save(figure, path, dpi=dpi // 4)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def toy_links(run: Run) -> Ragged:
    """Return the known word links of the toy corpus, spread over pieces."""
    tokenizers = run.tokenizers()
    rows = []
    for pair in corpus.training_pairs(run.data, run.recipe.corpus):
        shares = []
        for text, tokenizer in zip((pair.source, pair.target), tokenizers, strict=True):
            spans = tokenizer.encode(text).spans
            shares.append(membership(spans, words(text, "uax29"))[:-1, :-1])
        linked = shares[1] @ word_links(pair.source, pair.target) @ shares[0].T
        rows.append([s << 16 | t for t, row in enumerate(linked) for s, w in enumerate(row) if w])
    return Ragged.of(rows)


def word_links(source: str, target: str) -> list[list[float]]:
    """Return (target words, source words): one where the toy dictionary has the pair."""
    known = {**toy.NOUNS, **toy.ADJECTIVES, **toy.VERBS, "the": "le", ".": "."}
    left = [span.of(source).lower() for span in words(source, "uax29")]
    right = [span.of(target).lower() for span in words(target, "uax29")]
    seen: dict[str, int] = {}
    table = [[0.0] * len(left) for _ in right]
    for t, word in enumerate(right):
        places = [s for s, english in enumerate(left) if known[english] == word]
        nth = seen.get(word, 0)
        seen[word] = nth + 1
        table[t][places[min(nth, len(places) - 1)]] = 1.0
    return table
