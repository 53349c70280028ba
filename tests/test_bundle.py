"""A bundle: every kind of damage is named, and what was checked is what is read."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from service import fields
from service.bundle import Bundle, digest, open_bundle
from service.errors import DamagedBundle, UnsealedBundle
from service.manifest import MANIFEST, write_manifest


@pytest.fixture
def folder(toy_bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy_bundle.folder, tmp_path / "toy"))


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
    with pytest.raises(DamagedBundle, match="must be a path inside the folder"):
        open_bundle(folder)


def test_a_graph_without_a_checksum_is_refused(folder: Path, toy_bundle: Bundle) -> None:
    kept = tuple(f for f in toy_bundle.manifest.files if f.path != "decoder.onnx")
    write_manifest(folder, replace(toy_bundle.manifest, files=kept))
    with pytest.raises(DamagedBundle, match=r"decoder\.onnx is used but has no checksum"):
        open_bundle(folder)


def test_a_folder_that_is_too_large_is_refused(folder: Path, toy_bundle: Bundle) -> None:
    total = sum(file.bytes for file in toy_bundle.manifest.files)
    assert open_bundle(folder, total).manifest == toy_bundle.manifest
    with pytest.raises(DamagedBundle, match=f"toy has {total} bytes; at most {total - 1}"):
        open_bundle(folder, total - 1)


def test_a_manifest_that_is_too_large_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b" " * (fields.MOST_BYTES + 1))
    with pytest.raises(DamagedBundle, match=r"toy/bundle\.json has more than 1048576 bytes"):
        open_bundle(folder)


@pytest.mark.parametrize("name", [MANIFEST, "decoder.onnx", "MODEL_CARD.md"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, name: str) -> None:
    """Even to the very same bytes."""
    (folder / name).rename(folder.parent / name)
    (folder / name).symlink_to(Path("..") / name)
    with pytest.raises(DamagedBundle, match=f"toy: '{name}' lies outside the bundle"):
        open_bundle(folder)


def test_a_link_inside_the_folder_is_followed(folder: Path) -> None:
    (folder / "decoder.onnx").rename(folder / "d")
    (folder / "decoder.onnx").symlink_to("d")
    assert open_bundle(folder).read("decoder.onnx") == (folder / "d").read_bytes()


@pytest.mark.parametrize("name", [MANIFEST, "decoder.onnx"])
def test_a_pipe_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(DamagedBundle, match=f"{name} is not a plain file"):
        open_bundle(folder)


def test_a_file_that_changes_after_it_was_opened_is_not_used(folder: Path) -> None:
    """What is hashed is what is read: both are done with the same bytes."""
    bundle = open_bundle(folder)
    path = folder / "decoder.onnx"
    content = path.read_bytes()
    assert bundle.read("decoder.onnx") == content
    path.write_bytes(content[:-1] + b"\0")
    with pytest.raises(DamagedBundle, match=r"toy/decoder\.onnx differs from its checksum"):
        bundle.read("decoder.onnx")
    path.write_bytes(content + b"\0")
    with pytest.raises(DamagedBundle, match=r"decoder\.onnx has more than \d+ bytes"):
        bundle.read("decoder.onnx")


def test_two_files_that_were_swapped_are_named(folder: Path) -> None:
    source, target = folder / "source.model", folder / "target.model"
    content = source.read_bytes()
    source.write_bytes(target.read_bytes())
    target.write_bytes(content)
    with pytest.raises(DamagedBundle, match=r"(source|target)\.model (has|differs)"):
        open_bundle(folder)


def test_a_file_that_the_manifest_does_not_list_is_not_read(folder: Path) -> None:
    (folder / "more.onnx").write_bytes(b"")
    with pytest.raises(DamagedBundle, match=r"toy/more\.onnx has no checksum"):
        open_bundle(folder).read("more.onnx")


def test_only_a_draft_is_read_unchecked(folder: Path, toy_bundle: Bundle) -> None:
    (folder / "decoder.onnx").write_bytes(b"draft")
    draft = Bundle(folder, replace(toy_bundle.manifest, files=()))
    assert draft.read("decoder.onnx") == b"draft"


def test_the_digest_tells_one_manifest_from_another(folder: Path, toy_bundle: Bundle) -> None:
    assert digest(folder) == open_bundle(folder).digest == toy_bundle.digest
    write_manifest(folder, replace(toy_bundle.manifest, version="other"))
    assert digest(folder) == open_bundle(folder).digest != toy_bundle.digest
    (folder / MANIFEST).unlink()
    with pytest.raises(UnsealedBundle):
        digest(folder)
