"""Catalog: which bundle translates which pair, and what may be loaded."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import catalog as catalogs
from service import shelf as rooms
from service.bundle import Bundle
from service.catalog import Catalog
from service.device import HOST
from service.errors import (
    AmbiguousPair,
    BundleError,
    DeviceMissing,
    NoReverseModel,
    UnknownPair,
)
from service.settings import Settings
from service.translator import Translator
from tests.devices import StandIn
from tests.folders import place

PAIRS = [["de", "en"], ["en", "de"], ["en", "fr"], ["en", "fr-CA"]]
ONE = Settings(workers=1, slots=8, device="cpu")


@pytest.fixture(scope="module")
def loaded(toy_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    folder = tmp_path_factory.mktemp("bundles")
    for source, target in (("en", "fr"), ("en", "fr-CA"), ("de", "en"), ("en", "de")):
        place(toy_bundle, folder, f"{source}-{target}", (source, target))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "EMBEDDED", folder)
        catalog = Catalog.load(ONE)
    yield catalog
    catalog.close()


@pytest.mark.parametrize(
    ("source", "target", "found"),
    [
        ("en", "fr", "en-fr"),
        ("EN", "FR", "en-fr"),
        ("en-US", "fr-FR", "en-fr"),
        ("en", "fr-ca", "en-fr-CA"),
        ("en_GB", "fr", "en-fr"),
        ("de", None, "de-en"),
        (None, "en", "de-en"),
        (None, "fr", "en-fr"),
    ],
)
def test_a_pair_finds_its_bundle(
    loaded: Catalog, source: str | None, target: str | None, found: str
) -> None:
    assert loaded.choose(source, target).manifest.name == found


@pytest.mark.parametrize(("source", "target"), [("en", None), (None, None)])
def test_what_fits_several_is_ambiguous(
    loaded: Catalog, source: str | None, target: str | None
) -> None:
    with pytest.raises(AmbiguousPair):
        loaded.choose(source, target)


def test_an_unknown_pair_lists_those_that_exist(loaded: Catalog) -> None:
    with pytest.raises(UnknownPair) as refusal:
        loaded.choose("fr", "en")
    assert refusal.value.detail == {"pairs": PAIRS}


@pytest.mark.parametrize(("source", "target"), [("en", "de"), ("de", "en")])
def test_the_other_direction_is_found(loaded: Catalog, source: str, target: str) -> None:
    reverse = loaded.reverse(loaded.choose(source, target))
    assert reverse is loaded.choose(target, source)


@pytest.mark.parametrize("target", ["fr", "fr-CA"])
def test_a_missing_direction_is_named(loaded: Catalog, target: str) -> None:
    with pytest.raises(NoReverseModel, match=f"{target} to en") as refusal:
        loaded.reverse(loaded.choose("en", target))
    assert refusal.value.detail == {"needed": [target, "en"], "pairs": PAIRS}


def test_languages_list_their_targets(loaded: Catalog) -> None:
    assert [(x.code, x.name, x.targets) for x in loaded.languages()] == [
        ("de", "DE", ("en",)),
        ("en", "EN", ("de", "fr", "fr-CA")),
    ]


def test_chinese_is_listed_in_both_scripts(toy_bundle: Bundle, tmp_path: Path) -> None:
    for source, target in (("en", "zh"), ("zh", "en")):
        place(toy_bundle, tmp_path, f"{source}-{target}", (source, target))
    catalog = Catalog.load(Settings(workers=1, slots=8, bundles=tmp_path))
    try:
        listed = {one.code: (one.name, one.targets) for one in catalog.languages()}
        assert {"zh", "zh-Hant"} <= set(listed["en"][1])
        assert listed["zh"] == ("ZH", ("en",))
        assert listed["zh-Hant"] == ("Chinese (traditional)", ("en",))
        assert catalog.choose("en", "zh-TW").manifest.target.code == "zh"
        assert catalog.choose("zh-Hant", "en").manifest.source.code == "zh"
    finally:
        catalog.close()


def test_a_reloaded_catalog_has_what_the_folders_have_now(
    toy_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(toy_bundle, tmp_path, "en-fr")
    place(toy_bundle, tmp_path, "en-de", ("en", "de"))
    monkeypatch.setattr(rooms, "EMBEDDED", tmp_path)
    old = Catalog.load(ONE)
    place(toy_bundle, tmp_path, "en-fr", version="2")
    new = old.reloaded()
    try:
        assert old.choose("en", "de") is new.choose("en", "de")
        assert old.choose("en", "fr").manifest.version == "1"
        assert new.choose("en", "fr").manifest.version == "2"
        old.close(new.translators())
        assert new.choose("en", "de").trouble() is None
    finally:
        new.close()


def test_a_catalog_that_came_from_no_folder_is_not_reloaded() -> None:
    with pytest.raises(BundleError, match="do not come from folders"):
        Catalog([]).reloaded()


def test_what_is_in_trouble_is_named(loaded: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(loaded.troubles()) == {}
    bad = loaded.choose("de", "en")

    async def trouble(translator: Translator) -> str | None:
        return "all is lost" if translator is bad else None

    monkeypatch.setattr(catalogs, "trouble", trouble)
    assert asyncio.run(loaded.troubles()) == {"de-en": "all is lost"}


def test_every_bundle_runs_on_the_device_that_was_found(
    toy_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(toy_bundle, tmp_path)
    device = StandIn(floats=True)
    monkeypatch.setattr(rooms, "EMBEDDED", tmp_path)
    monkeypatch.setattr(rooms, "find", lambda asked: device if asked == "cuda" else HOST)
    catalog = Catalog.load(Settings(slots=8, device="cuda"))
    catalog.close()
    assert device.uploaded  # the canary's


def test_a_device_that_is_not_there_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceMissing, match="extra `cuda`"):
        Catalog.load(Settings(device="cuda"))
