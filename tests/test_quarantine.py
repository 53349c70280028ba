"""The trial apart: what a hostile bundle does, it does to a child; the server only hears of it."""

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from service import quarantine
from service import shelf as room
from service.bundle import Bundle, digest, open_bundle
from service.errors import BundleError, DamagedBundle, UnsealedBundle
from service.manifest import MANIFEST
from service.patience import Patience
from service.quarantine import admit
from service.settings import Settings
from service.shelf import Shelf
from tests.folders import edit, in_graph, place, spoil, with_nan

ONE = Settings(workers=1, slots=8, device="cpu", max_bundle_memory=1 << 30)


@pytest.fixture
def folder(tmp_path: Path, toy_bundle: Bundle) -> Path:
    return place(toy_bundle, tmp_path)


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the child be a script."""
    path = folder.parent / "child.sh"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def swollen(model: onnx.ModelProto) -> None:
    """Let a graph of a few bytes more ask for 16 GiB as soon as it is loaded."""
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["small" if one == name else one for one in node.output]
    kind = model.graph.output[0].type.tensor_type.elem_type
    zero = numpy_helper.from_array(np.zeros(1, helper.tensor_dtype_to_np_dtype(kind)))
    size = numpy_helper.from_array(np.array([1 << 32], np.int64), "size")
    model.graph.initializer.append(size)
    nodes = model.graph.node
    nodes.append(helper.make_node("ConstantOfShape", ["size"], ["much"], value=zero))
    nodes.append(helper.make_node("ReduceMax", ["much"], ["little"], keepdims=0))
    nodes.append(helper.make_node("Add", ["small", "little"], [name]))


def test_a_good_bundle_is_admitted_by_its_digest(folder: Path) -> None:
    assert admit(folder, ONE) == digest(folder)


def test_what_the_environment_says_of_the_server_is_nothing_to_the_child(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLINEA_BUNDLES", str(folder / "nowhere"))
    monkeypatch.setenv("INTERLINEA_MAX_BUNDLE_BYTES", "1")
    assert admit(folder, ONE) == digest(folder)


def test_a_beam_as_wide_as_the_slots_of_the_server_is_nothing_to_the_child(folder: Path) -> None:
    wide = Settings(slots=64, max_beam=40, device="cpu", max_bundle_memory=1 << 30)
    assert admit(folder, wide) == digest(folder)


def test_settings_that_the_child_cannot_use_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        quarantine, "_environment", lambda _: {**os.environ, "INTERLINEA_SLOTS": "x"}
    )
    with pytest.raises(
        BundleError, match=r"^en-fr: it cannot be tried: INTERLINEA_SLOTS: "
    ) as caught:
        admit(folder, ONE)
    assert caught.value.code == "bundle_error"
    assert "INTERLINEA_MAX_BUNDLE_MEMORY" not in caught.value.message


def test_a_graph_that_asks_for_too_much_memory_is_refused(folder: Path) -> None:
    spoil(folder, "encoder.onnx", in_graph(swollen))
    with pytest.raises(DamagedBundle, match=r"en-fr cannot be used: .* allocate memory") as caught:
        admit(folder, ONE)
    assert caught.value.detail == {"bundle": "en-fr"}


def test_what_is_wrong_is_told_as_if_the_server_had_found_it(folder: Path) -> None:
    spoil(folder, "decoder.onnx", in_graph(with_nan))
    with pytest.raises(DamagedBundle, match=r"^en-fr: .* not finite") as caught:
        admit(folder, ONE)
    assert caught.value.detail == {"bundle": "en-fr"}
    (folder / MANIFEST).unlink()
    with pytest.raises(UnsealedBundle, match="not verified and sealed"):
        admit(folder, ONE)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("kill -SEGV $$", "ended with SIGSEGV"),
        ("kill -KILL $$", "ended with SIGKILL.*INTERLINEA_MAX_BUNDLE_MEMORY"),
        ("exit 3", "ended with status 3"),
        ("echo '{'", "ended with status 0"),
        ("echo 12", "cannot be used"),
        ("""echo '{"error": "magic", "message": "", "detail": null}'""", "cannot be used"),
    ],
)
def test_a_child_that_dies_or_talks_nonsense_refuses_the_bundle(
    folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    stand_in(folder, script, monkeypatch)
    with pytest.raises(DamagedBundle, match=says) as caught:
        admit(folder, ONE)
    assert caught.value.detail == {"bundle": "en-fr"}


def test_a_child_is_not_waited_for_too_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(folder, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(quarantine, "PATIENCE", Patience(0.5))
    begun = time.monotonic()
    with pytest.raises(DamagedBundle, match="its trial was broken off"):
        admit(folder, ONE)
    assert time.monotonic() - begun < 30


def test_a_trial_ends_when_the_server_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(folder, "exec sleep 60", monkeypatch)
    timer = threading.Timer(0.5, quarantine.PATIENCE.lose)
    timer.start()
    with pytest.raises(DamagedBundle, match="its trial was broken off"):
        admit(folder, ONE)
    timer.join()


def test_the_child_is_confined(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = (
        "import json, resource as r, service.quarantine as q; q._confine(1 << 31); "
        "kinds = (r.RLIMIT_DATA, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_CORE); "
        "limits = [r.getrlimit(kind)[1] for kind in kinds]; "
        "print(json.dumps({'digest': str(limits) + open('/proc/self/oom_score_adj').read()}))"
    )
    stand_in(folder, f'exec {sys.executable} -c "{probe}"', monkeypatch)
    seconds = int(quarantine.PATIENCE.seconds)
    assert admit(folder, ONE).split("]") == [f"[{1 << 31}, {seconds}, 0, 0", "1000\n"]


def served(root: Path) -> None:
    for translator in Shelf(ONE.model_copy(update={"bundles": root})).load():
        translator.close(1.0)


def test_only_what_came_with_the_package_is_loaded_at_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def ask(folder: Path, settings: Settings) -> str:
        asked.append(folder)
        return digest(folder)

    monkeypatch.setattr(quarantine, "admit", ask)
    monkeypatch.setattr(room, "EMBEDDED", folder.parent)
    served(folder.parent)
    assert asked == []
    elsewhere = tmp_path / "_none"
    elsewhere.mkdir()
    monkeypatch.setattr(room, "EMBEDDED", elsewhere)
    served(tmp_path)
    assert asked == [folder]


def test_a_bundle_that_changes_after_its_trial_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(folder: Path, settings: Settings) -> str:
        before = open_bundle(folder).digest
        edit(folder, lambda data: data.update(version="2"))
        return before

    monkeypatch.setattr(quarantine, "admit", change)
    monkeypatch.setattr(room, "EMBEDDED", tmp_path / "_none")
    (tmp_path / "_none").mkdir()
    with pytest.raises(BundleError, match="changed while it was being tried"):
        served(tmp_path)
