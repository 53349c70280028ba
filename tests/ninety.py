"""A run of ninety pairs with their subwords, ready to be trained for a few steps."""

import dataclasses
import gzip
import random
import shutil
from pathlib import Path
from typing import Any

from model_export import corpus
from model_export.corpus import Encoded, Ragged
from model_export.recipe import read_recipe
from model_export.run import Run, save_corpus
from model_export.subwords import train_subwords
from tests import toy
from tests.architectures import network

SIZES = dataclasses.replace(network("lstm", "gru", "general", layers=2, top=12), dropout=0.2)
STEPS, PIECES = 16, 276
OPTIONS: dict[str, Any] = {
    "batch_tokens": 300, "steps": STEPS, "warmup": 5, "dev_every": 5, "dev_sentences": 3,
    "label_smoothing": 0.1, "sampled_vocabulary": 40, "full_softmax_from": 0.75,
    "patience": 5, "checkpoint_minutes": 0.0, "seed": 3,
}  # fmt: skip


def line(rng: random.Random) -> str:
    """A pair of a made-up language and the same in capitals, as a line of a corpus."""
    text = " ".join("".join(rng.choices("abcdefgh", k=4)) for _ in range(rng.randint(1, 4)))
    return f"{text}\t{text.upper()}\ttoy\n"


def prepare(folder: Path) -> Run:
    """Ninety pairs in an empty folder, each linked at its first piece."""
    (folder / "toy.toml").write_text(toy.RECIPE, encoding="utf-8")
    recipe = read_recipe(folder / "toy.toml")
    options = dataclasses.replace(recipe.training, **OPTIONS)
    run = Run(dataclasses.replace(recipe, model=SIZES, training=options), folder, folder / "run")
    rng = random.Random(0)
    for name, count in (("train", 90), ("dev", 3)):
        with gzip.open(folder / f"{name}.tsv.gz", "wt", encoding="utf-8") as out:
            out.writelines(line(rng) for _ in range(count))
    pairs = corpus.training_pairs(folder, recipe.corpus)
    texts = [pair.source for pair in pairs], [pair.target for pair in pairs]
    train_subwords(texts[0], PIECES, recipe.subwords, recipe.bundle.source, run.source_model)
    train_subwords(texts[1], PIECES, recipe.subwords, recipe.bundle.target, run.target_model)
    source, target = map(corpus.encode_texts, run.tokenizers(), texts)
    shares = corpus.shares(pairs, recipe.corpus)
    save_corpus(run, Encoded(source, target, Ragged.of([[0]] * len(pairs)), shares))
    return run


def fresh(prepared: Run, folder: Path, options: dict[str, Any]) -> Run:
    """A run in a copy of the folder, with other training options."""
    shutil.copytree(prepared.folder, folder / "fresh")
    changed = dataclasses.replace(prepared.recipe.training, **options)
    return Run(
        dataclasses.replace(prepared.recipe, training=changed), prepared.data, folder / "fresh"
    )
