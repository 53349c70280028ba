"""How a target writes what a translation keeps: names in Latin script, measures and dates its way.

And what it keeps only because the model, or the two languages, can.
"""

from collections.abc import Callable

from service import dates, measures, numerals, romanisation, scripts
from service.untranslatable import Finder


def speller(source: str, target: str) -> Callable[[str], str]:
    """Return how a target writes what is kept of a source; most of it stays as it is."""
    measured, dated = measures.speller(source, target), dates.speller(source, target)
    if scripts.is_chinese(source) and not scripts.is_chinese(target):
        return lambda kept: romanisation.spelled(dated(measured(kept)))
    return lambda kept: dated(measured(kept))


def finders(source: str, target: str, numbers: bool) -> tuple[Finder, ...]:
    """Return what finds dates, where the target can write them, and `numbers`."""
    some = (dates.find,) if dates.are_between(source, target) else ()
    return (*some, numerals.find) if numbers else some
