"""Words that a dictionary has and texts hardly do, learnt in sentences.

    mayor  市长  +  He knows the mayor.  ->  He knows the {0}.  ->  他认识{0}。  ->  他认识市长。

A model that met a word in a dictionary alone knows it in no sentence, and half of what
people say have such a word. So an entry gets sentences of the target language that have its target
side: a placeholder takes its place, the bundle of the other direction translates the sentence back
and carries the placeholder over, and the entry's source side goes there, in the dictionary's form.
The target is a person's, to the letter. Fadaee et al. (2017) put rare words into training pairs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import simplemma

from model_export import corpus, extra_texts
from model_export.backtranslation import Report, learnable, translated
from model_export.config import Language
from model_export.distil import Ids
from model_export.run import Run
from service import scripts
from service.segmentation import Span
from service.words import words

PLACE = "{0}"
LONGEST = 4
"""How many words an entry may have."""

CHOICE = 4
"""The sentences of an entry are some of this many times as many, the shortest that there are."""

_INFINITIVE = {"en": "to"}
"""What dictionaries of a language have before a verb, and sentences need not."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A sentence of the target language, and where it has the target side of an entry."""

    text: str
    span: Span


def learn_words(run: Run, reverse: Path, report: Report) -> list[tuple[Ids, Ids]]:
    """Return pairs of ids, source and target, in which the recipe's lexica have their words."""
    jobs = list(_jobs(run))
    marked = [f"{use.text[: use.span.start]}{PLACE}{use.text[use.span.end :]}" for _, use in jobs]
    made = translated(run, reverse, marked, 1, report)
    language = run.recipe.bundle.source
    filled = (
        (_filled(text, entry, language), use.text)
        for (entry, use), (_, found) in zip(jobs, made, strict=True)
        for text in found
        if text.count(PLACE) == 1
    )
    return learnable(run, filled)


def _jobs(run: Run) -> Iterator[tuple[str, Use]]:
    """Yield the source sides of entries that are seldom, each with sentences to use it in."""
    recipe, lexica = run.recipe, run.recipe.refinement.lexica
    source, target = recipe.bundle.source, recipe.bundle.target
    pairs = corpus.training_pairs(run.data, recipe.corpus)
    entries = [
        (one, key, _key(one.target, target))
        for one in pairs
        if one.corpus in lexica and (key := _key(one.source, source))
    ]
    texts = (pair.source for pair in pairs if pair.corpus not in lexica)
    known = _occurrences(texts, {key for _, key, _ in entries}, source)
    often = Counter(key for key, _ in known)
    seldom = [(one, to) for one, key, to in entries if to and often[key] < recipe.refinement.seldom]
    uses = _uses(run, {to for _, to in seldom})
    rng = np.random.default_rng(recipe.training.seed)
    for one, to in seldom:
        times = lexica[one.corpus]
        few = uses.get(to, ())[: CHOICE * times]
        for index in rng.permutation(len(few))[:times].tolist():
            yield one.source, few[index]


def _uses(run: Run, keys: set[Key]) -> Mapping[Key, Sequence[Use]]:
    """Return the sentences of the target language that have each key, the shortest first."""
    texts = sorted((one.text for one in extra_texts.of_target(run)), key=len)
    found: dict[Key, list[Use]] = defaultdict(list)
    free = (text for text in texts if "{" not in text and "}" not in text)
    for key, use in _occurrences(free, keys, run.recipe.bundle.target):
        found[key].append(use)
    return found


def _occurrences(
    texts: Iterable[str], keys: set[Key], language: Language
) -> Iterator[tuple[Key, Use]]:
    """Yield where texts have keys, in whatever form of their words."""
    root = partial(_root, language=scripts.base(language.code))
    for text in texts:
        spans = words(text, language.words)
        roots = [root(span.of(text)) for span in spans]
        for start in range(len(roots)):
            for end in range(start + 1, min(start + LONGEST, len(roots)) + 1):
                if (key := tuple(roots[start:end])) in keys:
                    yield key, Use(text, Span(spans[start].start, spans[end - 1].end))


def _key(text: str, language: Language) -> Key:
    """Return the basic forms of an entry's words; none if it has too many."""
    code = scripts.base(language.code)
    roots = [_root(span.of(text), code) for span in words(text, language.words)]
    if len(roots) > 1 and roots[0] == _INFINITIVE.get(code):
        del roots[0]
    return tuple(roots) if len(roots) <= LONGEST else ()


@lru_cache(1 << 18)
def _root(word: str, language: str) -> str:
    """Return the basic form of a word, or the word where its language is not known."""
    try:
        return simplemma.lemmatize(word.lower(), lang=language).lower()
    except ValueError:
        return word.lower()


def _filled(text: str, entry: str, language: Language) -> str:
    """Put an entry in its place; a space beside it is no word's in languages without."""
    before, _, behind = text.partition(PLACE)
    if not language.joiner:
        before, behind = before.rstrip(" "), behind.lstrip(" ")
    return before + entry + behind
