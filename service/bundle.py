"""A bundle: a sealed folder, its manifest, and files that are what the manifest says.

The folder is opened only if every file is there with the size and SHA-256 that the manifest
states. What is checked is what is used: a file that is read is checked as it is read, and its
bytes are handed over, so nothing that happens to the folder later counts.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from service import fields, files
from service.errors import DamagedBundle, UnsealedBundle
from service.manifest import MANIFEST, File, Manifest, parse_manifest

MOST_BYTES = 2 << 30
"""Bytes of all files of a bundle, unless a caller says otherwise; of one graph, the most that its
format can have."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder and its manifest; `digest` is the checksum of `bundle.json`, empty of a draft."""

    folder: Path
    manifest: Manifest
    digest: str = ""

    def path(self, name: str) -> Path:
        """Return the path of a file inside the folder; raises `DamagedBundle` on an escape."""
        return files.inside(self.folder, name)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file, the very ones whose checksum was found to be right.

        Only a draft, whose manifest lists no file yet, is read unchecked. Raises
        `DamagedBundle`.
        """
        listed = {file.path: file for file in self.manifest.files}
        path = self.path(name)
        if not listed:
            return files.content(path, MOST_BYTES)
        if name not in listed:
            raise DamagedBundle(f"{self.folder.name}/{name} has no checksum in {MANIFEST}")
        file = listed[name]
        content = files.content(path, file.bytes)
        _check_facts(self, file, len(content), hashlib.sha256(content).hexdigest())
        return content


def open_bundle(folder: Path, most: int = MOST_BYTES) -> Bundle:
    """Read and check a sealed folder, of at most `most` bytes.

    Raises `UnsealedBundle` or `DamagedBundle`.
    """
    content = _manifest_content(folder)
    manifest = parse_manifest(content, f"{folder.name}: {MANIFEST}")
    bundle = Bundle(folder, manifest, hashlib.sha256(content).hexdigest())
    total = sum(file.bytes for file in manifest.files)
    if total > most:
        raise DamagedBundle(f"{folder.name} has {total} bytes; at most {most} are accepted")
    for file in manifest.files:
        _check_file(bundle, file)
    listed = {file.path for file in manifest.files}
    for name in needed(manifest):
        if name not in listed:
            raise DamagedBundle(f"{folder.name}: {name} is used but has no checksum in {MANIFEST}")
    return bundle


def digest(folder: Path) -> str:
    """Return the checksum of a folder's manifest; raises as `open_bundle` does."""
    return hashlib.sha256(_manifest_content(folder)).hexdigest()


def describe_file(folder: Path, name: str) -> File:
    """Return size and checksum of a file as the manifest states them."""
    return File(name, *files.measure(files.inside(folder, name), MOST_BYTES))


def _manifest_content(folder: Path) -> bytes:
    path = files.inside(folder, MANIFEST)
    if not path.exists():
        raise UnsealedBundle(
            f"{folder.name} has no {MANIFEST}: it was not verified and sealed, so it is not served"
        )
    return files.content(path, fields.MOST_BYTES)


def needed(manifest: Manifest) -> list[str]:
    """Return the files that serving a bundle takes."""
    graphs = [graph.file for graph in manifest.model.graphs]
    known = [manifest.known_words] if manifest.known_words else []
    return [*graphs, manifest.source.tokenizer, manifest.target.tokenizer, *known]


def _check_file(bundle: Bundle, file: File) -> None:
    path = bundle.path(file.path)
    if not path.exists():
        raise DamagedBundle(f"{bundle.folder.name}/{file.path} is missing")
    _check_facts(bundle, file, *files.measure(path, file.bytes))


def _check_facts(bundle: Bundle, file: File, size: int, checksum: str) -> None:
    name = f"{bundle.folder.name}/{file.path}"
    if size != file.bytes:
        raise DamagedBundle(f"{name} has {size} bytes, not {file.bytes}")
    if checksum != file.sha256:
        raise DamagedBundle(f"{name} differs from its checksum")
