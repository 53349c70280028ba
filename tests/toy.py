"""A toy language pair that tests train on: every translation and alignment is known.

Every English word has one French word, and adjectives follow their noun. A model of a few
thousand weights learns it in seconds, so tests can ask for real translations and links.
"""

import gzip
import random
from dataclasses import dataclass
from pathlib import Path

NOUNS = {
    "cat": "chat",
    "dog": "chien",
    "bird": "oiseau",
    "house": "maison",
    "tree": "arbre",
    "garden": "jardin",
    "book": "livre",
    "window": "vitre",
    "king": "roi",
    "moon": "lune",
    "fish": "poisson",
    "queen": "dame",
}
ADJECTIVES = {
    "black": "noir",
    "small": "petit",
    "old": "vieux",
    "red": "rouge",
    "young": "jeune",
    "warm": "chaud",
}
VERBS = {
    "sees": "voit",
    "likes": "aime",
    "hears": "entend",
    "finds": "trouve",
    "paints": "dessine",
    "knows": "sait",
}


@dataclass(frozen=True, slots=True)
class ToyPair:
    """Words of both sides and their links (source, target)."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    links: tuple[tuple[int, int], ...]

    def as_written(self) -> "ToyPair":
        """The same pair with a capital at the start of each side."""
        source = (self.source[0].capitalize(), *self.source[1:])
        return ToyPair(source, (self.target[0].capitalize(), *self.target[1:]), self.links)

    def line(self) -> str:
        """The pair as a line of a corpus."""
        return f"{text(self.source)}\t{text(self.target)}\ttoy\n"

    def gold(self) -> str:
        """The pair as a line of gold alignments."""
        links = " ".join(f"{s}-{t}" for s, t in self.links)
        written = self.as_written()
        return f"{' '.join(written.source)}\t{' '.join(written.target)}\t{links} | \n"


def text(words: tuple[str, ...]) -> str:
    """Join words as they are written: capital first, stop at the end."""
    joined = " ".join(words).replace(" .", ".")
    return joined[0].upper() + joined[1:]


def pair(rng: random.Random) -> ToyPair:
    """Make one sentence pair."""
    source: list[str] = []
    target: list[str] = []
    links: list[tuple[int, int]] = []

    def link(english: str, french: str) -> None:
        source.append(english)
        target.append(french)
        links.append((len(source) - 1, len(target) - 1))

    def phrase() -> None:
        link("the", "le")
        noun, adjective = rng.choice(list(NOUNS)), rng.choice(list(ADJECTIVES))
        if rng.random() < 0.5:
            source.extend((adjective, noun))
            target.extend((NOUNS[noun], ADJECTIVES[adjective]))
            s, t = len(source), len(target)
            links.extend([(s - 2, t - 1), (s - 1, t - 2)])
        else:
            link(noun, NOUNS[noun])

    phrase()
    link(verb := rng.choice(list(VERBS)), VERBS[verb])
    phrase()
    link(".", ".")
    return ToyPair(tuple(source), tuple(target), tuple(links))


def write(folder: Path) -> None:
    """Write a corpus, a dev set and gold alignments."""
    rng = random.Random(7)
    for name, count in (("train", 1500), ("dev", 60)):
        with gzip.open(folder / f"{name}.tsv.gz", "wt", encoding="utf-8") as out:
            out.writelines(pair(rng).line() for _ in range(count))
    with gzip.open(folder / "gold.tsv.gz", "wt", encoding="utf-8") as out:
        out.writelines(pair(rng).gold() for _ in range(60))


RECIPE = """
[bundle]
name = "toy"
licence = "CC0-1.0"
source = { code = "en", name = "English", joiner = " ", words = "uax29" }
target = { code = "fr", name = "French", joiner = " ", words = "uax29-elision" }

[corpus]
files = ["train.tsv.gz"]
max_characters = 200
max_ratio = 2.0
max_tokens = 40
dev = "dev.tsv.gz"

[corpus.sources.toy]
share = 1.0
licence = "CC0-1.0"
attribution = "the test suite"
url = "about:blank"

[subwords]
size = 310
character_coverage = 1.0
required_characters = "é"

[labels]
symmetrization = "intersection"

[variety]
source_splits = 0.1
target_splits = 0.0
smoothness = 1.0
lower_case = 0.0
unfinished = 0.0

[model]
alignment_head = 32
embedding_std = 1.0
dropout = 0.0
word_dropout = 0.0
encoder = { kind = "lstm", embedding = 64, size = 64, layers = 1 }
decoder = { kind = "gru", embedding = 48, size = 64, top = 24 }
attention = { kind = "general" }

[training]
batch_tokens = 400
steps = 160
warmup = 10
learning_rate = 5e-3
weight_decay = 0.0
clip = 1.0
label_smoothing = 0.0
sampled_vocabulary = 100
full_softmax_from = 0.5
cross_attention_weight = 0.5
alignment_weight = 1.0
dev_every = 60
dev_sentences = 30
patience = 5
checkpoint_minutes = 1.0
seed = 3

[refinement]
beam_size = 2
pairs = 40
files = ["dev.tsv.gz"]
corpora = ["toy"]
steps = 0
warmup = 1
learning_rate = 1e-4
origins = { toy = { licence = "CC0", attribution = "nobody", url = "https://example.org" } }

[evaluation]
translation = ["dev.tsv.gz"]
alignment = ["gold.tsv.gz"]
tuning = "gold.tsv.gz"
"""
