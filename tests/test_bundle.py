"""The manifest: read back as written, and every kind of damage named."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.bundle import MANIFEST, Bundle, open_bundle, read_manifest, write_manifest
from service.errors import BundleError, DamagedBundle, UnsealedBundle


@pytest.fixture
def folder(toy_bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy_bundle.folder, tmp_path / "toy"))


def test_a_manifest_is_read_back_as_it_was_written(toy_bundle: Bundle, tmp_path: Path) -> None:
    write_manifest(tmp_path, toy_bundle.manifest)
    assert read_manifest(tmp_path / MANIFEST) == toy_bundle.manifest


def test_an_unsealed_folder_is_refused(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    with pytest.raises(UnsealedBundle, match="not verified and sealed"):
        open_bundle(folder)


def test_a_changed_file_is_named(folder: Path) -> None:
    path = folder / "decoder.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedBundle, match=r"toy/decoder\.onnx differs from its checksum"):
        open_bundle(folder)


def test_a_truncated_file_is_named(folder: Path) -> None:
    path = folder / "encoder.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedBundle, match=r"encoder\.onnx has \d+ bytes, not \d+"):
        open_bundle(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "source.model").unlink()
    with pytest.raises(DamagedBundle, match=r"source\.model is missing"):
        open_bundle(folder)


def test_a_file_outside_the_folder_is_refused(folder: Path, toy_bundle: Bundle) -> None:
    outside = folder.parent / "outside.onnx"
    shutil.copyfile(folder / "encoder.onnx", outside)
    files = toy_bundle.manifest.files
    escaping = replace(files[0], path="../outside.onnx")
    write_manifest(folder, replace(toy_bundle.manifest, files=(escaping, *files[1:])))
    with pytest.raises(DamagedBundle, match="lies outside the bundle"):
        open_bundle(folder)


def test_a_graph_without_a_checksum_is_refused(folder: Path, toy_bundle: Bundle) -> None:
    kept = tuple(f for f in toy_bundle.manifest.files if f.path != "decoder.onnx")
    write_manifest(folder, replace(toy_bundle.manifest, files=kept))
    with pytest.raises(DamagedBundle, match=r"decoder\.onnx is used but has no checksum"):
        open_bundle(folder)


def _set(*path: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_set("format", to=99), "not of format"),
        (_set("surprise", to=1), "unknown field surprise"),
        (_set("model", "opset", to="20"), "model.opset has the wrong type"),
        (_set("model", "graphs", to={}), "model.graphs must be a list"),
        (_set("source", to=[]), "source must be an object"),
        (_set("link_rule", to={"attention": "cross"}), "missing field link_rule.rule"),
        (_set("parameters", to=True), "parameters has the wrong type"),
    ],
)
def test_a_wrong_field_is_named(
    folder: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    path = folder / MANIFEST
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(DamagedBundle, match=says):
        open_bundle(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\ufeff{}", '"x"'])
def test_a_manifest_that_is_no_object_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(BundleError):
        open_bundle(folder)


def test_the_summary_is_what_a_client_sees(toy_bundle: Bundle) -> None:
    summary = toy_bundle.manifest.summary()
    assert summary["name"] == "toy"
    assert summary["attention"] == ["cross", "alignment"]
    assert summary["alignment_from"] == "alignment"
    json.dumps(summary)
