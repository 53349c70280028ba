"""How often numbers, names, addresses, code and placeholders come over as they are.

The sentences are made up (`intact.toml`), so that no model has been trained on them. A thing comes
over if the translation has it exactly as often as the source, with or without its spaces. Of
figures only the digits count: a decimal is 3.5 in English and 3,5 in French, a time 7:30 or 7 h 30.
"""

import random
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from model_export.wait import patient, wait
from service.decimals import has_comma
from service.keeping import Spell
from service.options import Options
from service.spelling import speller
from service.translator import Translator

TEXTS = Path(__file__).parent / "intact.toml"

SENTENCES, SEED = 60, 1
"""How many sentences of each kind, and which ones."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A source text, the kind of thing that it was made for, and the things in it."""

    text: str
    kind: str
    things: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """How many sentences of a kind were translated, and those in which something was lost.

    `lost` are these sources with their translations.
    """

    kind: str
    sentences: int
    lost: tuple[tuple[str, str], ...]


class LanguageError(Exception):
    """There are no sentences in a language; the message says in which there are."""


def sentences(language: str, count: int, seed: int) -> list[Sentence]:
    """Return `count` sentences of each kind, the same for a seed.

    Raises `LanguageError` if `intact.toml` has none in that language.
    """
    texts = tomllib.loads(TEXTS.read_text(encoding="utf-8"))
    fillings = texts.pop("fillings")
    if language not in texts:
        raise LanguageError(f"there are no sentences in {language}, only in {', '.join(texts)}")
    rng = random.Random(seed)
    fill = {**_figures(language), **{kind: _one_of(some) for kind, some in fillings.items()}}
    return [
        _filled(templates[index % len(templates)], kind, fill, rng)
        for kind, templates in texts[language].items()
        for index in range(count)
    ]


Fill = Callable[[random.Random], str]


def _one_of(some: Sequence[str]) -> Fill:
    return lambda rng: rng.choice(some)


def _figures(language: str) -> Mapping[str, Fill]:
    point = "," if has_comma(language) else "."
    return {
        "number": lambda rng: str(rng.randrange(10, 10 ** rng.randint(2, 4))),
        "large number": lambda rng: str(rng.randrange(10_000, 10 ** rng.randint(5, 7))),
        "decimal": lambda rng: f"{rng.randint(1, 40)}{point}{rng.randint(1, 99)}",
        "year": lambda rng: str(rng.randint(1700, 2030)),
        "time": lambda rng: f"{rng.randint(1, 23)}:{rng.randint(10, 59)}",
    }


def _filled(template: str, kind: str, fill: Mapping[str, Fill], rng: random.Random) -> Sentence:
    before, *others = re.split(rf"\{{({'|'.join(map(re.escape, fill))})\}}", template)
    things = tuple(fill[kind](rng) for kind in others[::2])
    text = before + "".join(map("".join, zip(things, others[1::2], strict=True)))
    return Sentence(text, kind, things)


def measure(translator: Translator, given: Sequence[Sentence]) -> Iterator[Row]:
    """Translate the sentences and yield how many of each kind lost something."""
    options = Options(attention="none", deadline=patient())
    made = wait(translator.translate([one.text for one in given], options))
    texts = [one.text for one in made]
    spell = speller(translator.manifest.source.code, translator.manifest.target.code)
    for kind in dict.fromkeys(one.kind for one in given):
        some = [(one, text) for one, text in zip(given, texts, strict=True) if one.kind == kind]
        lost = tuple((one.text, text) for one, text in some if not is_intact(one, text, spell))
        yield Row(kind, len(some), lost)


def is_intact(sentence: Sentence, translation: str, spell: Spell = str) -> bool:
    """Whether a translation has each thing, as the target writes it, as often as the sentence."""
    asked = Counter(_pattern(spell(thing)) for thing in sentence.things)
    return all(len(re.findall(pattern, translation)) == n for pattern, n in asked.items())


def _pattern(thing: str) -> str:
    figures = re.findall(r"\d+", thing)
    plain = figures and re.fullmatch(r"[\d.,:]+", thing)
    wanted = r"\D{1,3}".join(figures) if plain else re.escape(thing).replace(r"\ ", r"\s?")
    return rf"(?<!\d){wanted}(?!\d)"


def table(rows: Sequence[Row]) -> Table:
    """Write measurements as a table, the last line of all kinds together."""
    made = Table("kind")
    for figure in ("sentences", "intact, %"):
        made.add_column(figure, justify="right")
    whole = Row(
        "all", sum(row.sentences for row in rows), tuple(x for row in rows for x in row.lost)
    )
    for row in (*rows, whole):
        share = 100 * (1 - len(row.lost) / max(1, row.sentences))
        made.add_row(row.kind, str(row.sentences), f"{share:.1f}")
    return made
