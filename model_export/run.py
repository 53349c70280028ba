"""The folder of one training run: what is where, and how it is read back.

Everything made from a recipe lives under `runs/<name>/`: subword models, encoded corpus,
links, checkpoints, log, and the exported graphs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_export import config, corpus
from model_export.corpus import Encoded, Ragged
from model_export.gold import Gold, read_gold, turned
from service.tokenizer import Tokenizer

CORPUS = ("source.model", "target.model", "corpus.npz", "links.npz", "shares.npy")
"""What training reads from the run's folder: subword models, and the corpus made by them."""


@dataclass(frozen=True, slots=True)
class Run:
    """A recipe, where its data is, and the folder that its results go to."""

    recipe: config.Recipe
    data: Path
    folder: Path

    def path(self, name: str) -> Path:
        """Return the path of a file of the run, whose folder is made if need be."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    @property
    def source_model(self) -> Path:
        """Subword model of the source language."""
        return self.path("source.model")

    @property
    def target_model(self) -> Path:
        """Subword model of the target language."""
        return self.path("target.model")

    @property
    def checkpoint(self) -> Path:
        """Where training stands."""
        return self.path("checkpoint.pt")

    @property
    def best(self) -> Path:
        """The weights that did best on the dev set, refined and sharpened since as it may be."""
        return self.path("best.pt")

    @property
    def unrefined(self) -> Path:
        """What `refine` began with, if it did: the best weights of `train`."""
        return self.path("unrefined.pt")

    @property
    def unsharpened(self) -> Path:
        """What `sharpen` began with, if it did."""
        return self.path("unsharpened.pt")

    def before_sharpening(self) -> Path:
        """Return the best weights whose alignment head was not trained on alone."""
        return self.unsharpened if self.unsharpened.is_file() else self.best

    def forget_former(self) -> None:
        """Drop what later stages began with: there are new weights to begin with."""
        for path in (self.unrefined, self.unsharpened):
            path.unlink(missing_ok=True)

    def tokenizers(self) -> tuple[Tokenizer, Tokenizer]:
        """Source and target tokenizer."""
        sides = self.recipe.bundle
        return (
            Tokenizer(self.source_model, sides.source.joiner),
            Tokenizer(self.target_model, sides.target.joiner),
        )

    def log(self, **facts: object) -> None:
        """Append one JSON line to the log of the run."""
        with self.path("log.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(facts) + "\n")

    def logged(self) -> list[dict[str, Any]]:
        """Rows of the log, in order; none if nothing was logged."""
        log = self.path("log.jsonl")
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        return [json.loads(line) for line in lines]

    def forget_after(self, step: int) -> None:
        """Drop what the log tells of steps that a resumed run makes again."""
        kept = [json.dumps(row) for row in self.logged() if row["step"] <= step]
        self.path("log.jsonl").write_text("".join(f"{row}\n" for row in kept), encoding="utf-8")

    def dev_pairs(self) -> list[corpus.Pair]:
        """Pairs of the dev set that steers training."""
        return self.pairs([self.recipe.corpus.dev])

    def dev_sample(self) -> list[corpus.Pair]:
        """Return about `dev_sentences` dev pairs, spread evenly: those that training measures."""
        dev = self.dev_pairs()
        return dev[:: max(1, len(dev) // self.recipe.training.dev_sentences)]

    def pairs(self, files: Sequence[str]) -> list[corpus.Pair]:
        """Pairs of sets that measure the bundle, in its direction."""
        return list(corpus.directed(corpus.read_pairs(self.data, files), self.recipe.corpus))

    def set_name(self, file: str) -> str:
        """What a set that measures the bundle is called: "tatoeba.fr-en" if it is reversed."""
        name = Path(file).name.removesuffix(".tsv.gz")
        stem, _, languages = name.rpartition(".")
        if not (stem and self.recipe.corpus.reversed):
            return name
        return f"{stem}.{'-'.join(reversed(languages.split('-')))}"

    def gold(self, file: str) -> list[Gold]:
        """Gold alignments, in the direction of the bundle."""
        rows = read_gold(self.data / file)
        return [turned(row) for row in rows] if self.recipe.corpus.reversed else rows


def save_ragged(path: Path, **rows: Ragged) -> None:
    """Write named ragged arrays to a compressed `.npz`."""
    arrays = {
        f"{name}.{part}": getattr(row, part)
        for name, row in rows.items()
        for part in ("values", "starts")
    }
    np.savez_compressed(path, allow_pickle=False, **arrays)


def load_ragged(path: Path) -> dict[str, Ragged]:
    """Read what `save_ragged` wrote."""
    with np.load(path) as arrays:
        names = {key.partition(".")[0] for key in arrays}
        return {n: Ragged(arrays[f"{n}.values"], arrays[f"{n}.starts"]) for n in names}


def load_corpus(run: Run) -> Encoded:
    """Return the encoded training pairs with their links."""
    rows = load_ragged(run.path("corpus.npz"))
    links = load_ragged(run.path("links.npz"))["links"]
    shares = np.load(run.path("shares.npy"), allow_pickle=False)
    return Encoded(rows["source"], rows["target"], links, shares)


def save_corpus(run: Run, pairs: Encoded) -> None:
    """Write what `load_corpus` reads."""
    save_ragged(run.path("corpus.npz"), source=pairs.source, target=pairs.target)
    save_ragged(run.path("links.npz"), links=pairs.links)
    np.save(run.path("shares.npy"), pairs.shares, allow_pickle=False)
