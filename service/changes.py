"""What is different between two catalogs, bundle by bundle."""

from dataclasses import dataclass

from service.catalog import Catalog
from service.translator import Translator

Named = dict[str, str]


@dataclass(frozen=True, slots=True)
class Changes:
    """Bundles by what became of them: `name` and `version`, and of those replaced what it `was`."""

    added: tuple[Named, ...]
    replaced: tuple[Named, ...]
    removed: tuple[Named, ...]
    kept: tuple[Named, ...]

    def line(self) -> str:
        """Say it in one line, for a log."""
        return "; ".join(
            f"{what}: {', '.join(map(_said, named))}"
            for what, named in (
                ("added", self.added),
                ("replaced", self.replaced),
                ("removed", self.removed),
                ("kept", self.kept),
            )
            if named
        )


def between(old: Catalog, new: Catalog) -> Changes:
    """Return what became of the bundles; one is kept if the very same translator is in both."""
    before = {one.manifest.name: one for one in old.translators()}
    after = {one.manifest.name: one for one in new.translators()}
    return Changes(
        added=tuple(_named(one) for name, one in after.items() if name not in before),
        replaced=tuple(
            {**_named(one), "was": before[name].manifest.version}
            for name, one in after.items()
            if name in before and before[name] is not one
        ),
        removed=tuple(_named(one) for name, one in before.items() if name not in after),
        kept=tuple(_named(one) for name, one in after.items() if before.get(name) is one),
    )


def _named(translator: Translator) -> Named:
    return {"name": translator.manifest.name, "version": translator.manifest.version}


def _said(named: Named) -> str:
    was = f" (was {named['was']})" if "was" in named else ""
    return f"{named['name']} {named['version']}{was}"
