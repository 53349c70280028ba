"""What is different between two catalogs."""

from typing import cast

from service.catalog import Catalog
from service.changes import between
from service.translator import Translator
from tests.stand_ins import FakeTranslator


def bundle(name: str, version: str) -> Translator:
    made = FakeTranslator(name)
    made.manifest.version = version  # type: ignore[misc]  # of a stand-in
    return cast(Translator, made)


def test_every_bundle_is_told_of_once() -> None:
    kept, gone = bundle("kept", "1"), bundle("gone", "2")
    old = Catalog([kept, gone, bundle("changed", "3")])
    new = Catalog([bundle("changed", "4"), kept, bundle("new", "5")])
    changes = between(old, new)
    assert changes.added == ({"name": "new", "version": "5"},)
    assert changes.replaced == ({"name": "changed", "version": "4", "was": "3"},)
    assert changes.removed == ({"name": "gone", "version": "2"},)
    assert changes.kept == ({"name": "kept", "version": "1"},)
    assert changes.line() == (
        "added: new 5; replaced: changed 4 (was 3); removed: gone 2; kept: kept 1"
    )


def test_what_was_sealed_again_as_the_same_version_was_replaced() -> None:
    changes = between(Catalog([bundle("a", "1")]), Catalog([bundle("a", "1")]))
    assert changes.replaced == ({"name": "a", "version": "1", "was": "1"},)
    assert changes.line() == "replaced: a 1 (was 1)"
