"""All loaded bundles, and which of them translates a pair of languages.

A language is asked for by BCP-47 code in any case: "fr-CA" finds a bundle for "fr-CA", or
else for its base language "fr". A code left out is filled in only if one bundle fits.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service import scripts
from service.canary import trouble
from service.errors import AmbiguousPair, BundleError, NoReverseModel, UnknownPair
from service.settings import Settings
from service.shelf import Shelf
from service.translator import Translator


@dataclass(frozen=True, slots=True)
class Language:
    """A source language and the targets that it can be translated to."""

    code: str
    name: str
    targets: tuple[str, ...]


class Catalog:
    """The translators of a server, one a bundle; it never changes."""

    def __init__(self, translators: Sequence[Translator], shelf: Shelf | None = None) -> None:
        self._translators = tuple(translators)
        self._shelf = shelf

    @classmethod
    def load(cls, settings: Settings) -> "Catalog":
        """Open every bundle on one device, and translate a canary with each.

        Raises `BundleError`.
        """
        shelf = Shelf(settings)
        return cls(shelf.load(), shelf)

    def reloaded(self) -> "Catalog":
        """Return the catalog of what the folders hold now; this one stays as it is.

        Translators of bundles that have not changed are in both. Blocks; raises `BundleError`.
        """
        if self._shelf is None:
            raise BundleError("these bundles do not come from folders")
        return Catalog(self._shelf.load(self._translators), self._shelf)

    async def troubles(self) -> dict[str, str]:
        """What keeps which bundle from translating; empty if all is well."""
        found = {one.manifest.name: await trouble(one) for one in self._translators}
        return {name: what for name, what in found.items() if what is not None}

    def translators(self) -> Sequence[Translator]:
        """Every loaded translator."""
        return self._translators

    def languages(self) -> list[Language]:
        """Every source language with its targets, sorted by code; Chinese in both scripts."""
        names = {t.manifest.source.code: t.manifest.source.name for t in self._translators}
        found = []
        for code, name in names.items():
            targets = [t for s, t in self._pairs() if s == code]
            both = [one for target in targets for one in _scripts(target, "")]
            found += [Language(*one, tuple(c for c, _ in both)) for one in _scripts(code, name)]
        return sorted(found, key=lambda language: language.code)

    def choose(self, source: str | None, target: str | None) -> Translator:
        """Return the translator of a pair; raises `UnknownPair` or `AmbiguousPair`."""
        found = [
            translator
            for translator in self._translators
            if _fits(source, translator.manifest.source.code)
            and _fits(target, translator.manifest.target.code)
        ]
        exact = [t for t in found if _exact(t, source, target)]
        chosen = exact if len(exact) == 1 else found
        if len(chosen) == 1:
            return chosen[0]
        pairs = {"pairs": [list(pair) for pair in self._pairs()]}
        if not chosen:
            raise UnknownPair(f"no model translates {source or '?'} to {target or '?'}", pairs)
        raise AmbiguousPair("more than one model fits: name source and target", pairs)

    def reverse(self, translator: Translator) -> Translator:
        """Return the translator of the other direction; raises `NoReverseModel`."""
        source, target = translator.manifest.target.code, translator.manifest.source.code
        try:
            return self.choose(source, target)
        except UnknownPair as error:
            raise NoReverseModel(
                f"symmetrize needs a model for {source} to {target}, and none is loaded",
                {"needed": [source, target], **(error.detail or {})},
            ) from None

    def close(self, but: Collection[Translator] = ()) -> None:
        """Take nothing new, fail what is on board, and stop every thread but those of `but`."""
        for translator in self._translators:
            if translator not in but:
                translator.close(0.0)

    def _pairs(self) -> list[tuple[str, str]]:
        return sorted({(t.manifest.source.code, t.manifest.target.code) for t in self._translators})


def _scripts(code: str, name: str) -> list[tuple[str, str]]:
    """Return a language as it is called, and once more for each other script that it has."""
    return [(code, name), *([scripts.TRADITIONAL] if code == "zh" else [])]


def _fits(asked: str | None, code: str) -> bool:
    if asked is None:
        return True
    return asked.lower() == code.lower() or scripts.base(asked) == code.lower()


def _exact(translator: Translator, source: str | None, target: str | None) -> bool:
    manifest = translator.manifest
    sides = ((source, manifest.source.code), (target, manifest.target.code))
    return all(asked is None or asked.lower() == code.lower() for asked, code in sides)
