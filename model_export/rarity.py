"""Draws more of the pairs that have rare words, so that an epoch has each word a few times.

Everyday corpora lack many words that a corpus of laws or manuals has, and that is drawn from
seldom, for most of it is about nothing that people say. A pair that has a word which an epoch would
have less than `times` is drawn more often, in equal parts with the others that have it, until it
does. Long texts are left out, for a word is learnt from a short one as well.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.config import RareWords

_WORD = re.compile(r"[^\W\d_]{3,}")

Words = Sequence[frozenset[str]]
Floats = NDArray[np.float32]


def raised(shares: Floats, texts: Sequence[str], options: RareWords) -> Floats:
    """Return how often an epoch has each pair, (pairs,), of how often it would have it."""
    if options.times <= 0:
        return shares
    words = [frozenset(_WORD.findall(text.lower())) for text in texts]
    missing = _missing(shares, words, options)
    usable = [
        index
        for index, text in enumerate(texts)
        if shares[index] < 1 and len(text.split()) <= options.longest
    ]
    teachers = Counter(word for index in usable for word in words[index] if word in missing)
    found = shares.copy()
    for index in usable:
        needed = [missing[word] / teachers[word] for word in words[index] if word in missing]
        found[index] = max(shares[index], min(1.0, max(needed, default=0.0)))
    return found


def _missing(shares: Floats, words: Words, options: RareWords) -> dict[str, float]:
    """Return how often an epoch lacks each rare word."""
    known: Counter[str] = Counter()
    drawn: dict[str, float] = {}
    for share, some in zip(shares.tolist(), words, strict=True):
        known.update(some)
        for word in some:
            drawn[word] = drawn.get(word, 0.0) + share
    return {
        word: options.times - times
        for word, times in drawn.items()
        if times < options.times and known[word] >= options.known
    }
