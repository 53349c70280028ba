"""How a target writes what a translation keeps: Chinese names in Latin script, measures its way."""

from collections.abc import Callable

from service import measures, romanisation, scripts


def speller(source: str, target: str) -> Callable[[str], str]:
    """Return how a target writes what is kept of a source; most of it stays as it is."""
    measured = measures.speller(source, target)
    if scripts.is_chinese(source) and not scripts.is_chinese(target):
        return lambda kept: romanisation.spelled(measured(kept))
    return measured
