"""How a target writes what it keeps: names in Latin script; measures, money and dates its way.

And what it keeps only because the model, or the two languages, can.
"""

from collections.abc import Callable
from functools import reduce

from service import amounts, dates, measures, numerals, romanisation, scripts
from service.untranslatable import Finder


def speller(source: str, target: str) -> Callable[[str], str]:
    """Return how a target writes what is kept of a source; most of it stays as it is."""
    some = [of.speller(source, target) for of in (measures, amounts, dates)]
    if scripts.is_chinese(source) and not scripts.is_chinese(target):
        some.append(romanisation.spelled)
    return lambda kept: reduce(lambda text, spelled: spelled(text), some, kept)


def finders(source: str, target: str, numbers: bool) -> tuple[Finder, ...]:
    """Return what finds dates, where the target can write them, and `numbers`."""
    some = (dates.find,) if dates.are_between(source, target) else ()
    return (*some, numerals.find) if numbers else some
