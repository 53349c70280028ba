"""All loaded bundles, and which of them translates a pair of languages.

A language is asked for by BCP-47 code in any case: "fr-CA" finds a bundle for "fr-CA", or
else for its base language "fr". A code left out is filled in only if one bundle fits.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service import cores, scripts
from service.bundle import open_bundle
from service.device import HOST, Device, find
from service.engine import Capacity
from service.errors import AmbiguousPair, BundleError, NoReverseModel, UnknownPair
from service.options import Options
from service.settings import Settings
from service.translator import Translator

EMBEDDED = Path(__file__).with_name("bundles")

log = logging.getLogger("interlinea.catalog")


@dataclass(frozen=True, slots=True)
class Language:
    """A source language and the targets that it can be translated to."""

    code: str
    name: str
    targets: tuple[str, ...]


class Catalog:
    """The translators of a server, one a bundle."""

    def __init__(self, translators: Sequence[Translator]) -> None:
        self._translators = tuple(translators)
        self._ready = False

    @classmethod
    def load(cls, settings: Settings) -> "Catalog":
        """Open every bundle on one device, and translate a canary with each.

        Raises `BundleError`.
        """
        folders = _folders(settings.bundles)
        if not folders:
            raise BundleError("there is no bundle to serve")
        device = find(settings.device)
        capacity = _capacity(settings, device)
        catalog = cls([Translator(open_bundle(folder), capacity, device) for folder in folders])
        catalog.warm_up()
        return catalog

    def warm_up(self) -> None:
        """Let every bundle translate a sentence; only then is the catalog ready."""
        for translator in self._translators:
            asyncio.run(translator.translate(["1, 2, 3."], Options(attention="none")))
            log.info("bundle %s is ready", translator.manifest.name)
        self._ready = True

    def ready(self) -> bool:
        """True once every bundle has translated a sentence."""
        return self._ready

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

    def close(self, grace_seconds: float) -> None:
        """Take nothing new, finish what is on board, and stop every thread."""
        self._ready = False
        for translator in self._translators:
            translator.close(grace_seconds)

    def _pairs(self) -> list[tuple[str, str]]:
        return sorted({(t.manifest.source.code, t.manifest.target.code) for t in self._translators})


def _capacity(settings: Settings, device: Device) -> Capacity:
    """One thread can keep another device busy; on the host each core wants its own."""
    return Capacity(
        settings.workers or (cores.usable() if device is HOST else 1),
        settings.slots,
        settings.batch_tokens,
        settings.queue_sentences,
    )


def _folders(extra: Path | None) -> list[Path]:
    """Return bundle folders by name; an extra bundle takes the place of an embedded namesake."""
    folders: dict[str, Path] = {}
    for root in (EMBEDDED, extra):
        if root is None:
            continue
        if not root.is_dir():
            raise BundleError(f"{root} is not a folder of bundles")
        for folder in sorted(root.iterdir()):
            if folder.is_dir() and not folder.name.startswith((".", "_")):
                folders[folder.name] = folder
    return list(folders.values())


def _scripts(code: str, name: str) -> list[tuple[str, str]]:
    """Return a language as it is called, and once more for each other script that it has."""
    return [(code, name), *([scripts.TRADITIONAL] if code == "zh" else [])]


def _fits(asked: str | None, code: str) -> bool:
    if asked is None:
        return True
    return asked.lower() == code.lower() or _base(asked) == code.lower()


def _exact(translator: Translator, source: str | None, target: str | None) -> bool:
    manifest = translator.manifest
    sides = ((source, manifest.source.code), (target, manifest.target.code))
    return all(asked is None or asked.lower() == code.lower() for asked, code in sides)


def _base(code: str) -> str:
    return code.lower().replace("_", "-").partition("-")[0]
