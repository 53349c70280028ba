"""The manifest of a bundle: what its files are, and what the model behind them is.

It is `bundle.json`, written last, after the exported graphs were verified and measured.
`docs/bundle.md` explains each field.

Graphs, tensors and axes are open lists: an architecture with a growing state, more heads
or another graph describes itself in the same words. Whoever wrote the manifest may mean harm:
the bounds of a field stand in its type, and `fields` holds them.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from service import fields
from service.errors import DamagedBundle
from service.fields import Between, Like, Short

T = TypeVar("T")
FORMAT = 1
MANIFEST = "bundle.json"

Name = Annotated[str, Like(r"[A-Za-z_][\w.-]{0,99}", "a short name")]
Words = Annotated[str, Short(1000)]
Code = Annotated[str, Like(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}", "a BCP-47 code")]
_PATH = r"(?!\.)[\w.-]{1,100}(/(?!\.)[\w.-]{1,100}){0,3}"
FileName = Annotated[str, Like(_PATH, "a path inside the folder")]
MaybeFileName = Annotated[str, Like(f"({_PATH})?", "a path inside the folder, or empty")]
Axes = Annotated[tuple[Name, ...], Short(8)]
Token = Annotated[int, Between(0, 1 << 20)]
Length = Annotated[int, Between(1, 1 << 16)]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor of a graph: element type, and a name for each axis."""

    name: Name
    type: Name
    axes: Axes


@dataclass(frozen=True, slots=True)
class Graph:
    """An ONNX file and what goes in and out of it; `docs/bundle.md` tells the roles."""

    role: Name
    file: FileName
    precision: Name
    inputs: Annotated[tuple[Tensor, ...], Short(256)]
    outputs: Annotated[tuple[Tensor, ...], Short(256)]


@dataclass(frozen=True, slots=True)
class State:
    """A tensor that each decoder step reads and writes; `start` names where it comes from.

    One with an axis `past` grows: a step reads all its entries and writes the next one.
    """

    input: Name
    output: Name
    start: Name
    axes: Axes


@dataclass(frozen=True, slots=True)
class Attention:
    """An attention output: row of the token chosen `delay` steps before."""

    kind: Annotated[str, Like("cross|alignment", "cross or alignment")]
    output: Name
    heads: Annotated[int, Between(1, 256)]
    delay: Annotated[int, Between(0, 1)]


@dataclass(frozen=True, slots=True)
class Language:
    """One side: BCP-47 code, name, tokenizer file, joiner of given words, and word rule."""

    code: Code
    name: Annotated[str, Like(r"[^\W\d_][\w ()'-]{0,99}", "a name")]
    tokenizer: FileName
    joiner: Annotated[str, Like(" ?", "a space or empty")]
    words: Name


@dataclass(frozen=True, slots=True)
class Special:
    """Ids of the special pieces."""

    pad: Token
    bos: Token
    eos: Token


@dataclass(frozen=True, slots=True)
class LinkRule:
    """How word links are read off an attention; see `service.alignment`."""

    attention: Name
    rule: Name
    threshold: Annotated[float, Between(0.0, 1.0)]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Evidence from which on diagnostics warn; see `service.diagnostics`."""

    omission: Annotated[float, Between(0.0, 1000.0)]
    hallucination: Annotated[float, Between(0.0, 1000.0)]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the model was made for, in tokens without `</s>`; `source_multiple` pads the axis."""

    source_tokens: Length
    target_tokens: Length
    source_multiple: Annotated[int, Between(1, 1024)]


@dataclass(frozen=True, slots=True)
class File:
    """A file of the bundle."""

    path: FileName
    bytes: Annotated[int, Between(0, 1 << 40)]
    sha256: Annotated[str, Like("[0-9a-f]{64}", "a SHA-256 in hexadecimal")]


@dataclass(frozen=True, slots=True)
class Model:
    """How the graphs are run: what `service.runner` needs to know, and nothing else.

    `memory` names the tensors that the encoder gives and every decoder step reads back.
    """

    precision: Name
    opset: Annotated[int, Between(1, 1000)]
    graphs: Annotated[tuple[Graph, ...], Short(16)]
    memory: Annotated[tuple[Name, ...], Short(64)]
    state: Annotated[tuple[State, ...], Short(64)]
    attention: Annotated[tuple[Attention, ...], Short(2)]
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
    name: Name
    version: Annotated[str, Like(r"[\w.+-]{1,100}", "a version")]
    licence: Words
    source: Language
    target: Language
    architecture: Words
    parameters: Annotated[int, Between(0, 10**13)]
    sizes: Mapping[str, Any]
    model: Model
    link_rule: LinkRule
    warn_from: Bounds
    stand_ins: Annotated[str, Short(64)]
    number_stand_ins: Annotated[str, Short(64)]
    known_words: MaybeFileName
    data: tuple[Mapping[str, Any], ...] = field(repr=False)
    metrics: tuple[Mapping[str, Any], ...] = field(repr=False)
    verification: Mapping[str, Any] = field(repr=False)
    versions: Mapping[str, Any] = field(repr=False)
    files: Annotated[tuple[File, ...], Short(256)] = field(repr=False)

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


def parse(kind: type[T], data: object, where: str) -> T:
    """Make one of the dataclasses above of JSON; raises `DamagedBundle` that says where."""
    try:
        made = fields.build(kind, data)
    except ValueError as error:
        raise DamagedBundle(f"{where}: {error}") from error
    assert isinstance(made, kind)
    return made


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `bundle.json`; the last act of making a bundle."""
    text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def parse_manifest(content: bytes, where: str) -> Manifest:
    """Make a manifest of the bytes of `bundle.json`; raises `DamagedBundle` that says where."""
    try:
        data = fields.read_json(content)
    except ValueError as error:
        raise DamagedBundle(f"{where} cannot be read: {error}") from error
    if data.get("format") != FORMAT:
        raise DamagedBundle(f"{where} is not of format {FORMAT}")
    manifest = parse(Manifest, data, where)
    try:
        _check_whole(manifest)
    except ValueError as error:
        raise DamagedBundle(f"{where}: {error}") from error
    return manifest


def _check_whole(manifest: Manifest) -> None:
    """Raise ValueError for fields that are right one by one and wrong together."""
    model, special = manifest.model, manifest.model.special
    _once("files", (file.path for file in manifest.files))
    _once("model.graphs", (graph.role for graph in model.graphs))
    for graph in model.graphs:
        _once(f"the inputs of {graph.role}", (tensor.name for tensor in graph.inputs))
        _once(f"the outputs of {graph.role}", (tensor.name for tensor in graph.outputs))
    _once("model.memory", model.memory)
    _once("model.state", (state.input for state in model.state))
    _once("the outputs of model.state", (state.output for state in model.state))
    _once("model.attention", (attention.kind for attention in model.attention))
    _once("model.special", map(str, (special.pad, special.bos, special.eos)))
    if not model.memory:
        raise ValueError("model.memory is empty")
    kinds = {attention.kind for attention in model.attention} or {"none"}
    if manifest.link_rule.attention not in kinds:
        raise ValueError("link_rule.attention is none of model.attention")
    _check_scales(model.scales)


def _once(where: str, names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{where} names {name} twice")


def _check_scales(scales: Mapping[str, Any]) -> None:
    for name, value in scales.items():
        if isinstance(value, dict):
            _check_scales(value)
        elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ValueError(f"model.scales.{name} is not a number from 0 on")
