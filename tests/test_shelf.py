"""The folders of bundles: what is kept, what is loaded, and that one bad bundle refuses all."""

import gc
import logging
import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import cores, device
from service import shelf as room
from service.bundle import Bundle
from service.device import CUDA, HOST
from service.errors import BundleError, DamagedBundle, StepFailed
from service.manifest import MANIFEST
from service.patience import Patience
from service.runner import Runner
from service.settings import Settings
from service.shelf import Shelf, capacity
from service.translator import Translator
from tests.folders import (
    edit,
    elsewhere,
    in_graph,
    place,
    seal_again,
    spoil,
    with_nan,
    without_end,
    worker_threads,
)
from tests.test_fields import VALUES
from tests.test_manifest import paths, put

ONE = Settings(workers=1, slots=8, device="cpu")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(room, "EMBEDDED", tmp_path)
    return tmp_path


@pytest.fixture
def folder(root: Path, toy_bundle: Bundle) -> Path:
    return place(toy_bundle, root)


@pytest.fixture
def shelf(root: Path) -> Shelf:
    return Shelf(ONE)


@pytest.fixture
def running(shelf: Shelf, folder: Path) -> Iterator[list[Translator]]:
    translators = shelf.load()
    yield translators
    close(translators)


def close(translators: Sequence[Translator]) -> None:
    for translator in translators:
        translator.close(1.0)


def versions(translators: Sequence[Translator]) -> dict[str, str]:
    return {one.manifest.name: one.manifest.version for one in translators}


def test_what_has_not_changed_keeps_its_translator(
    shelf: Shelf, running: list[Translator], root: Path, toy_bundle: Bundle
) -> None:
    place(toy_bundle, root, "de-en", ("de", "en"))
    added, kept = shelf.load(running)
    assert kept is running[0]
    assert versions([added, kept]) == {"de-en": "1", "en-fr": "1"}
    close([added])


def test_what_has_changed_gets_a_new_one(
    shelf: Shelf, running: list[Translator], root: Path, toy_bundle: Bundle
) -> None:
    place(toy_bundle, root, version="2")
    (new,) = shelf.load(running)
    assert new is not running[0]
    assert versions([new]) == {"en-fr": "2"}
    close([new])


def test_a_bundle_that_is_gone_is_not_missed(
    shelf: Shelf, running: list[Translator], root: Path, folder: Path, toy_bundle: Bundle
) -> None:
    place(toy_bundle, root, "de-en", ("de", "en"))
    shutil.rmtree(folder)
    loaded = shelf.load(running)
    assert versions(loaded) == {"de-en": "1"}
    close(loaded)


def test_a_bad_bundle_refuses_all_and_leaves_nothing_behind(
    shelf: Shelf, running: list[Translator], root: Path, toy_bundle: Bundle
) -> None:
    place(toy_bundle, root, "de-en", ("de", "en"))
    place(toy_bundle, root, "zz-bad")
    (root / "zz-bad" / "decoder.onnx").unlink()
    before = worker_threads()
    with pytest.raises(DamagedBundle, match=r"zz-bad/decoder\.onnx is missing") as caught:
        shelf.load(running)
    assert caught.value.detail == {"bundle": "zz-bad"}
    assert worker_threads() == before
    assert running[0].trouble() is None


def break_off(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"{")


def unseal(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def link_away(folder: Path) -> None:
    (folder / "decoder.onnx").rename(folder.parent / "decoder.onnx")
    (folder / "decoder.onnx").symlink_to("../decoder.onnx")


def pipe(folder: Path) -> None:
    (folder / "source.model").unlink()
    os.mkfifo(folder / "source.model")


def rename(folder: Path) -> None:
    edit(folder, lambda data: data.update(name="fr-en"))


def other_rule(folder: Path) -> None:
    edit(folder, lambda data: data["link_rule"].update(rule="magic"))


def other_words(folder: Path) -> None:
    edit(folder, lambda data: data["source"].update(words="magic"))


def other_special(folder: Path) -> None:
    edit(folder, lambda data: data["model"]["special"].update(bos=7))


def other_stand_ins(folder: Path) -> None:
    edit(folder, lambda data: data.update(stand_ins="abc"))


def same_stand_ins(folder: Path) -> None:
    edit(folder, lambda data: data.update(stand_ins="\x01\x01"))


def absent_known_words(folder: Path) -> None:
    edit(folder, lambda data: data.update(known_words="known.txt"))


def more_heads(folder: Path) -> None:
    edit(folder, lambda data: data["model"]["attention"][0].update(heads=3))


def cut(name: str, at: float) -> Callable[[Path], None]:
    return lambda folder: spoil(folder, name, lambda content: content[: int(len(content) * at)])


def swap_tokenizer(folder: Path) -> None:
    shutil.copyfile(folder / "decoder.onnx", folder / "source.model")
    seal_again(folder)


def swap_graphs(folder: Path) -> None:
    shutil.copyfile(folder / "encoder.onnx", folder / "decoder.onnx")
    seal_again(folder)


def no_numbers(folder: Path) -> None:
    spoil(folder, "decoder.onnx", in_graph(with_nan))


def external(folder: Path) -> None:
    spoil(folder, "encoder.onnx", in_graph(elsewhere))


def own_operator(folder: Path) -> None:
    """Which could only come with a library that the graph would have loaded."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node[0].domain = "com.example"
        model.opset_import.add(domain="com.example", version=1)

    spoil(folder, "decoder.onnx", in_graph(change))


HOSTILE = [
    (break_off, "cannot be read"),
    (unseal, "not verified and sealed"),
    (link_away, "lies outside the bundle"),
    (pipe, "is not a plain file"),
    (rename, "its manifest is of a bundle that is called fr-en"),
    (other_rule, "unknown link rule 'magic'"),
    (other_words, "unknown word rule 'magic'"),
    (other_special, "other special pieces"),
    (other_stand_ins, "stand_ins must be among"),
    (same_stand_ins, "stand_ins has one of them twice"),
    (absent_known_words, r"known\.txt is used but has no checksum"),
    (more_heads, "cross comes out in shape"),
    (cut("decoder.onnx", 0.5), r"decoder\.onnx cannot be loaded"),
    (cut("candidates.onnx", 0.0), r"candidates\.onnx cannot be loaded: it is empty"),
    (cut("target.model", 0.5), r"target\.model is not a SentencePiece model"),
    (cut("source.model", 0.0), r"source\.model"),
    (swap_tokenizer, r"source\.model is not a SentencePiece model"),
    (swap_graphs, r"decoder\.onnx: the graph has no tensor"),
    (no_numbers, "not finite"),
    (external, r"encoder\.onnx cannot be loaded: a tensor of it lies in another file"),
    (own_operator, r"decoder\.onnx cannot be loaded"),
]


@pytest.mark.parametrize(("harm", "says"), HOSTILE)
def test_a_hostile_bundle_is_refused_in_one_line(
    shelf: Shelf, folder: Path, harm: Callable[[Path], None], says: str
) -> None:
    harm(folder)
    before = worker_threads()
    with pytest.raises(BundleError, match=says) as caught:
        shelf.load()
    assert caught.value.detail == {"bundle": "en-fr"}
    assert "en-fr" in caught.value.message
    assert caught.value.message.isprintable()
    assert worker_threads() == before


@pytest.mark.parametrize("target", ["nowhere", "en-fr"], ids=["dangling", "circular"])
def test_a_bundle_whose_link_leads_nowhere_is_refused_and_not_dropped(
    shelf: Shelf, running: list[Translator], folder: Path, target: str
) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(target)
    (folder.parent / ".hidden").symlink_to("nowhere")
    (folder.parent / "README").touch()
    with pytest.raises(DamagedBundle, match=r"en-fr: 'bundle\.json' cannot be found") as caught:
        shelf.load(running)
    assert caught.value.detail == {"bundle": "en-fr"}
    assert running[0].trouble() is None


@pytest.mark.parametrize("file", ["encoder.onnx", "decoder.onnx", "candidates.onnx"])
def test_a_graph_without_an_end_is_refused(
    shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr(device, "PATIENCE", Patience(2.0))
    spoil(folder, file, in_graph(without_end))
    before = worker_threads()
    with pytest.raises(DamagedBundle, match="a graph did not come to an end"):
        shelf.load()
    assert worker_threads() == before


@pytest.mark.parametrize(
    "error", [MemoryError(), KeyError("x"), StepFailed("no luck"), RecursionError("deep\n\x1b")]
)
def test_whatever_goes_wrong_has_a_type_and_a_name(
    shelf: Shelf,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def fail(*_: object) -> None:
        raise error

    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(Runner, "encode", fail)
    before = worker_threads()
    with pytest.raises(DamagedBundle, match="en-fr cannot be used") as caught:
        shelf.load()
    assert caught.value.message.isprintable()
    assert worker_threads() == before


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_a_manifest_with_any_value_anywhere_is_served_or_refused(
    shelf: Shelf, folder: Path, toy_bundle: Bundle, data: st.DataObject
) -> None:
    shutil.copyfile(toy_bundle.folder / MANIFEST, folder / MANIFEST)
    numbers = st.integers(-1, 9) | st.sampled_from([64, 1024, 65536, 0.5, 1e9])

    def change(manifest: dict[str, Any]) -> None:
        manifest["name"] = "en-fr"
        model = {"model": manifest["model"], "link_rule": manifest["link_rule"]}
        for _ in range(data.draw(st.integers(1, 2))):
            path = data.draw(st.sampled_from(paths(model)))
            put(*path, to=data.draw(numbers | VALUES))(model)
        manifest.update(model)

    edit(folder, change)
    before = worker_threads()
    with suppress(BundleError):
        close(shelf.load())
    assert worker_threads() == before


def test_a_bundle_that_is_too_large_is_refused(root: Path, folder: Path) -> None:
    small = ONE.model_copy(update={"max_bundle_bytes": 1000})
    with pytest.raises(DamagedBundle, match="at most 1000 are accepted"):
        Shelf(small).load()


def test_an_extra_bundle_takes_the_place_of_its_namesake(
    folder: Path, toy_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    extra = tmp_path_factory.mktemp("extra")
    place(toy_bundle, extra, version="2")
    (extra / ".hidden").mkdir()
    (extra / "_old").mkdir()
    (extra / "README").touch()
    loaded = Shelf(ONE.model_copy(update={"bundles": extra})).load()
    assert versions(loaded) == {"en-fr": "2"}
    close(loaded)


def test_only_bundles_that_are_named_are_served(
    root: Path, folder: Path, toy_bundle: Bundle
) -> None:
    place(toy_bundle, root, "fr-en", ("fr", "en"))
    place(toy_bundle, root, "en-zh", ("en", "zh"))

    def served(*names: str) -> list[str]:
        given = Settings(bundles=root, models=names, workers=1, slots=8, device="cpu")
        translators = Shelf(given).load()
        close(translators)
        return [one.manifest.name for one in translators]

    assert served() == ["en-fr", "en-zh", "fr-en"]
    assert served("fr-en", "en-fr") == ["en-fr", "fr-en"]
    with pytest.raises(BundleError, match="there is no bundle zh-en; there are: en-fr, en-zh, f"):
        served("en-fr", "zh-en")


def test_without_any_bundle_there_is_nothing_to_serve(shelf: Shelf) -> None:
    with pytest.raises(BundleError, match="no bundle"):
        shelf.load()


def test_a_root_that_went_away_is_named(shelf: Shelf, root: Path, folder: Path) -> None:
    shutil.rmtree(root)
    with pytest.raises(BundleError, match="not a folder of bundles: No such file"):
        shelf.load()


def test_nothing_of_a_closed_translator_is_left_for_the_collector(
    shelf: Shelf, folder: Path
) -> None:
    (translator,) = shelf.load()
    weak = weakref.ref(translator)
    gc.collect()
    gc.disable()
    try:
        translator.close(1.0)
        del translator
        assert weak() is None
    finally:
        gc.enable()


def test_the_smallest_settings_are_enough_for_the_canary(folder: Path) -> None:
    loaded = Shelf(Settings(workers=1, slots=1, max_beam=1, device="cpu")).load()
    close(loaded)


@pytest.mark.parametrize(("usable", "workers"), [(1, 1), (64, 64), (128, 64)])
def test_many_cores_are_not_a_thread_each(
    monkeypatch: pytest.MonkeyPatch, usable: int, workers: int
) -> None:
    monkeypatch.setattr(cores, "usable", lambda: usable)
    assert capacity(Settings(), HOST).workers == workers
    assert capacity(Settings(workers=128), HOST).workers == 128


def test_another_device_has_one_thread_unless_more_are_asked_for() -> None:
    assert capacity(Settings(), HOST).workers == min(64, cores.usable())
    assert capacity(Settings(), CUDA).workers == 1
    assert capacity(Settings(workers=3), CUDA).workers == 3
