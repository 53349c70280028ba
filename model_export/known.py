"""Lists the words of the source language that a model has learnt, so that names can be told.

A word that mostly begins with a capital is a name. A name is known if an epoch has it often, or if
its pairs seldom have it in the target: then it is one that is translated. `service.names` says how
the list is read. Of Chinese, it holds what only looks like a name of a person.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from errno import ENOENT
from pathlib import Path

from model_export.corpus import Floats, Pair
from model_export.run import Run
from service import romanisation, scripts

FILE = "known.txt"
LEAST = 1.0
"""How often an epoch must have a word in small letters for it to count as learnt."""

PROPER = 0.1
"""How often, of the times with a capital, a word has small letters if it is no name."""

COPIED = 0.5
"""A name of which a smaller share of the pairs has it in the target too is translated."""

SEEN = 2
"""How many pairs of a name it takes to tell."""

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def write(run: Run, pairs: Sequence[Pair], shares: Floats, keep: bool = False) -> None:
    """Write the words known from training pairs, if the recipe asks for them; shares (pairs,).

    With `keep`, those that the run knew before stay known.
    """
    often = run.recipe.keeping.rare_names
    if often > 0:
        is_chinese = scripts.is_chinese(run.recipe.bundle.source.code)
        found = (known_chinese if is_chinese else known)(pairs, shares, often)
        path = run.path(FILE)
        if keep and path.is_file():
            found = sorted({*found, *path.read_text(encoding="utf-8").split()})
        path.write_text("\n".join(found) + "\n", encoding="utf-8")


def file(run: Run) -> Path | None:
    """Return the list of a run, None where its recipe asks for none.

    Raises `FileNotFoundError` if it was not written.
    """
    if run.recipe.keeping.rare_names <= 0:
        return None
    path = run.path(FILE)
    if not path.is_file():
        raise FileNotFoundError(ENOENT, "not written yet, run `subwords` first", str(path))
    return path


def known_chinese(pairs: Sequence[Pair], shares: Floats, often: float) -> list[str]:
    """Return what looks like a Chinese name in the sources and is none, or is learnt; as `known`.

    A name counts as copied where the target has it in Latin script. Targets in small letters say
    nothing of names: assistants' corpora give each language names of its own.
    """
    times, seen, copied = (Counter[str]() for _ in range(3))
    for pair, share in zip(pairs, shares.tolist(), strict=True):
        if not pair.target[:1].isupper():
            continue
        target = _squeezed(pair.target)
        for span in romanisation.names(pair.source):
            name = span.of(pair.source)
            times[name] += share
            seen[name] += 1
            copied[name] += _squeezed(romanisation.spelled(name)) in target
    return sorted(
        name for name in times if times[name] >= often or _is_translated(seen[name], copied[name])
    )


def known(pairs: Sequence[Pair], shares: Floats, often: float) -> list[str]:
    """Return the words of the sources that count as learnt, sorted; shares (pairs,).

    `often` is how many times an epoch has a name that counts.
    """
    small, capital, seen, copied = (Counter[str]() for _ in range(4))
    for pair, share in zip(pairs, shares.tolist(), strict=True):
        targets = frozenset(_words(pair.target))
        for word in _cased(pair.source):
            if word[0].isupper():
                capital[word] += share
                seen[word] += 1
                copied[word] += word in targets
            else:
                small[word] += share
    names = {word: times for word, times in capital.items() if small[word.lower()] < PROPER * times}
    words = {word for word, times in small.items() if times >= LEAST}
    words -= set(map(str.lower, names))
    translated = {name for name in names if _is_translated(seen[name], copied[name])}
    return sorted(words | translated | {name for name, times in names.items() if times >= often})


def _squeezed(text: str) -> str:
    """Return a text as all ways to write Chinese names have it: Xiaoming, Xiao Ming, Xiao-ming."""
    return re.sub(r"[\s'’-]", "", text.lower())


def _is_translated(seen: int, copied: int) -> bool:
    return seen >= SEEN and copied < COPIED * seen


def _cased(text: str) -> Iterator[str]:
    """Yield the words of a text whose capitals tell something: it begins with one."""
    if text[:1].isupper():
        yield from _words(text)


def _words(text: str) -> Iterator[str]:
    """Yield the words of a text, and the parts of those with a hyphen."""
    for word in _WORD.findall(text):
        yield word
        if "-" in word:
            yield from word.split("-")
