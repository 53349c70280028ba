"""Files of a folder: none outside it, none that waits or never ends, and what is hashed is read."""

import hashlib
import os
from pathlib import Path

import pytest

from service import files
from service.errors import DamagedBundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bundle"
    (made / "sub").mkdir(parents=True)
    (made / "a").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    return made


@pytest.mark.parametrize("name", ["../secret", "sub/../../secret", "/etc/passwd", ".."])
def test_a_path_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(DamagedBundle, match="lies outside the bundle"):
        files.inside(folder, name)


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "sub/up/secret"])
def test_a_link_that_leaves_the_folder_is_refused(folder: Path, target: str) -> None:
    (folder / "sub" / "up").symlink_to("../..")
    (folder / "link").symlink_to(target)
    with pytest.raises(DamagedBundle, match="'link' lies outside the bundle"):
        files.inside(folder, "link")


@pytest.mark.parametrize("name", ["around", "a\0b", "x" * 5000])
def test_a_path_that_leads_nowhere_is_refused(folder: Path, name: str) -> None:
    (folder / "around").symlink_to("around")
    with pytest.raises(DamagedBundle, match="bundle"):
        files.content(files.inside(folder, name), 10)


def test_a_link_within_the_folder_is_followed(folder: Path, tmp_path: Path) -> None:
    """As volumes have them: a link to a folder of one version, and links through it."""
    (folder / "..data").symlink_to("sub")
    (folder / "sub" / "b").write_bytes(b"b")
    (folder / "b").symlink_to("..data/b")
    outer = tmp_path / "current"
    outer.symlink_to(folder)
    assert files.content(files.inside(folder, "b"), 10) == b"b"
    assert files.content(files.inside(outer, "b"), 10) == b"b"


def test_a_file_is_read_up_to_its_bound(folder: Path) -> None:
    path = folder / "a"
    assert files.content(path, 7) == b"content"
    with pytest.raises(DamagedBundle, match="bundle/a has more than 6 bytes"):
        files.content(path, 6)


def test_a_file_is_measured_without_being_held(folder: Path) -> None:
    assert files.measure(folder / "a", 7) == (7, hashlib.sha256(b"content").hexdigest())
    assert files.measure(folder / "a", 6) == (7, "")


def test_nothing_but_plain_files_is_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe")  # opening one waits for a writer, for ever
    for path, says in (
        (folder / "pipe", "bundle/pipe is not a plain file"),
        (Path("/dev/zero"), "dev/zero is not a plain file"),
        (folder / "sub", "bundle/sub"),
        (folder / "gone", "bundle/gone cannot be read: No such file"),
    ):
        with pytest.raises(DamagedBundle, match=says):
            files.content(path, 10)
        with pytest.raises(DamagedBundle, match=says):
            files.measure(path, 10)
