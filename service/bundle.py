"""The manifest of a bundle: what its files are, and what the model behind them is.

A bundle is a folder with a `bundle.json` that was written last, after the exported graphs
were verified and measured. The folder is opened only if every file is there with the size
and SHA-256 that the manifest states. `docs/bundle.md` explains each field.

Graphs, tensors and axes are open lists: an architecture with a growing state, more heads
or another graph describes itself in the same words.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import GenericAlias
from typing import Any, TypeVar, get_type_hints

from service.errors import DamagedBundle, UnsealedBundle

T = TypeVar("T")
FORMAT = 1
MANIFEST = "bundle.json"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor of a graph: element type, and a name for each axis."""

    name: str
    type: str
    axes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """An ONNX file and what goes in and out of it; `docs/bundle.md` tells the roles."""

    role: str
    file: str
    precision: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class State:
    """A tensor that each decoder step reads and writes; `start` names where it comes from.

    One with an axis `past` grows: a step reads all its entries and writes the next one.
    """

    input: str
    output: str
    start: str
    axes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attention:
    """An attention output: row of the token chosen `delay` steps before."""

    kind: str
    output: str
    heads: int
    delay: int


@dataclass(frozen=True, slots=True)
class Language:
    """One side: BCP-47 code, name, tokenizer file, joiner of given words, and word rule."""

    code: str
    name: str
    tokenizer: str
    joiner: str
    words: str


@dataclass(frozen=True, slots=True)
class Special:
    """Ids of the special pieces."""

    pad: int
    bos: int
    eos: int


@dataclass(frozen=True, slots=True)
class LinkRule:
    """How word links are read off an attention; see `service.alignment`."""

    attention: str
    rule: str
    threshold: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """Evidence from which on diagnostics warn; see `service.diagnostics`."""

    omission: float
    hallucination: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What the model was made for, in tokens without `</s>`; `source_multiple` pads the axis."""

    source_tokens: int
    target_tokens: int
    source_multiple: int


@dataclass(frozen=True, slots=True)
class File:
    """A file of the bundle."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Model:
    """How the graphs are run: what `service.runner` needs to know, and nothing else.

    `memory` names the tensors that the encoder gives and every decoder step reads back.
    """

    precision: str
    opset: int
    graphs: tuple[Graph, ...]
    memory: tuple[str, ...]
    state: tuple[State, ...]
    attention: tuple[Attention, ...]
    scales: Mapping[str, Any]
    special: Special
    limits: Limits

    @property
    def growing(self) -> frozenset[str]:
        """Names of the state tensors that have an entry more after every step."""
        return frozenset(state.input for state in self.state if "past" in state.axes)

    def graph(self, role: str) -> Graph:
        """Return the graph of a role; raises `DamagedBundle` if there is none."""
        for graph in self.graphs:
            if graph.role == role:
                return graph
        raise DamagedBundle(f"the manifest names no {role} graph")


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that `bundle.json` says."""

    format: int
    name: str
    version: str
    licence: str
    source: Language
    target: Language
    architecture: str
    parameters: int
    sizes: Mapping[str, Any]
    model: Model
    link_rule: LinkRule
    warn_from: Bounds
    stand_ins: str
    data: tuple[Mapping[str, Any], ...] = field(repr=False)
    metrics: tuple[Mapping[str, Any], ...] = field(repr=False)
    verification: Mapping[str, Any] = field(repr=False)
    versions: Mapping[str, Any] = field(repr=False)
    files: tuple[File, ...] = field(repr=False)

    def summary(self) -> dict[str, object]:
        """Return what a client should know of the model, ready for JSON."""
        return {
            "name": self.name,
            "version": self.version,
            "source": self.source.code,
            "target": self.target.code,
            "licence": self.licence,
            "architecture": self.architecture,
            "parameters": self.parameters,
            "precision": self.model.precision,
            "attention": [attention.kind for attention in self.model.attention],
            "heads": {attention.kind: attention.heads for attention in self.model.attention},
            "alignment_from": self.link_rule.attention,
            "link_rule": asdict(self.link_rule),
            "warn_from": asdict(self.warn_from),
            "limits": asdict(self.model.limits),
            "metrics": [dict(metric) for metric in self.metrics],
        }


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder and its manifest."""

    folder: Path
    manifest: Manifest

    def path(self, name: str) -> Path:
        """Return the path of a file inside the folder; raises `DamagedBundle` on an escape."""
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise DamagedBundle(f"{self.folder.name}: {name!r} lies outside the bundle")
        return path


def open_bundle(folder: Path) -> Bundle:
    """Read and check a sealed folder; raises `UnsealedBundle` or `DamagedBundle`."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UnsealedBundle(
            f"{folder.name} has no {MANIFEST}: it was not verified and sealed, so it is not served"
        )
    bundle = Bundle(folder, read_manifest(path))
    for file in bundle.manifest.files:
        _check_file(bundle, file)
    listed = {file.path for file in bundle.manifest.files}
    for needed in _needed(bundle.manifest):
        if needed not in listed:
            raise DamagedBundle(
                f"{folder.name}: {needed} is used but has no checksum in {MANIFEST}"
            )
    return bundle


def read_manifest(path: Path) -> Manifest:
    """Parse a manifest; raises `DamagedBundle` that names the field at fault."""
    data = _read_json(path)
    if data.get("format") != FORMAT:
        raise DamagedBundle(f"{path.parent.name}: {path.name} is not of format {FORMAT}")
    return parse(Manifest, data, f"{path.parent.name}: {path.name}")


def parse(kind: type[T], data: object, where: str) -> T:
    """Make one of the dataclasses above of JSON; raises `DamagedBundle` that says where."""
    try:
        made = _build(kind, data, "")
    except ValueError as error:
        raise DamagedBundle(f"{where}: {error}") from error
    assert isinstance(made, kind)
    return made


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `bundle.json`; the last act of making a bundle."""
    text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def describe_file(folder: Path, name: str) -> File:
    """Return size and checksum of a file as the manifest states them."""
    path = folder / name
    return File(name, path.stat().st_size, _sha256(path))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedBundle(f"{path.parent.name}: {path.name} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise DamagedBundle(f"{path.parent.name}: {path.name} is not a JSON object")
    return data


def _needed(manifest: Manifest) -> list[str]:
    graphs = [graph.file for graph in manifest.model.graphs]
    return [*graphs, manifest.source.tokenizer, manifest.target.tokenizer]


def _check_file(bundle: Bundle, file: File) -> None:
    path, name = bundle.path(file.path), f"{bundle.folder.name}/{file.path}"
    if not path.is_file():
        raise DamagedBundle(f"{name} is missing")
    if path.stat().st_size != file.bytes:
        raise DamagedBundle(f"{name} has {path.stat().st_size} bytes, not {file.bytes}")
    if _sha256(path) != file.sha256:
        raise DamagedBundle(f"{name} differs from its checksum")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _build(kind: type, data: object, at: str) -> object:
    """Make a dataclass of JSON; raises ValueError that names a wrong field."""
    if not isinstance(data, dict):
        raise ValueError(f"{at.rstrip('.') or 'the manifest'} must be an object")
    hints = get_type_hints(kind)
    names = [item.name for item in fields(kind)]
    for name in data:
        if name not in names:
            raise ValueError(f"unknown field {at}{name}")
    for name in names:
        if name not in data:
            raise ValueError(f"missing field {at}{name}")
    return kind(**{name: _value(hints[name], data[name], f"{at}{name}") for name in names})


def _value(hint: Any, value: object, at: str) -> object:
    if isinstance(hint, GenericAlias) and hint.__origin__ is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{at} must be a list")
        return tuple(_value(hint.__args__[0], item, f"{at}[{i}]") for i, item in enumerate(value))
    if is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, f"{at}.")
    kind = getattr(hint, "__origin__", hint)
    wanted = dict if kind is Mapping else (int, float) if kind is float else kind
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise ValueError(f"{at} has the wrong type")
    return value
