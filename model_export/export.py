"""Writes a model as ONNX graphs, in float32 or in int8 with fixed scales.

`encoder.onnx` reads source sentences; `decoder.onnx` makes one step; `candidates.onnx` holds
no weights and ranks what a step says, for beams; `forced.onnx` reads a given target at once, and
there is none where a step reads what the one before has found. What stands in them is said part
by part in `graphs/`, once for both precisions; the numbers of int8 come from `quantize.py`. Here
is the contract: which tensors go in and come out, and their axes.

In int8 every row of a batch comes out alike to the last bit, whatever the other rows: the
products are exact sums of integers with fixed scales, and float32 sums over the source axis
do not see its padding as long as the axis is a multiple of `SOURCE_MULTIPLE`. A target that is
read at once comes out as it does step by step.

A state tensor with an axis `past` grows: it starts without an entry, a step reads all of
them so far, with room for one more, and gives the new one alone.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import onnx

from model_export import quantize
from model_export.graphs import attention, decoders, encoders
from model_export.graphs.attention import AnyGraph
from model_export.graphs.spelling import OPSET, Float32, Int8
from model_export.model import Seq2Seq
from service.manifest import Graph, Tensor

SOURCE_MULTIPLE = 4
Precision = Literal["fp32", "int8"]

CANDIDATES = Graph(
    "candidates",
    "candidates.onnx",
    "fp32",
    (
        Tensor("log_probabilities", "float", ("batch", "vocabulary")),
        Tensor("count", "int64", ("one",)),
    ),
    (
        Tensor("top_scores", "float", ("batch", "best")),
        Tensor("top_tokens", "int64", ("batch", "best")),
    ),
)
DOCS = {
    "encoder": "Sources are padded at the end; what is given of padding is zero.",
    "decoder": "One step: `log_probabilities` and `cross` are of the next token, `alignment` of "
    "`token`.",
    "candidates": "The best tokens of every row, the lower one first where two are equal.",
    "forced": "All steps of given targets: at each position `tokens` are read, `log_probabilities` "
    "and `cross` are of `following`, `alignment` of `tokens`. Attention rows of padding mean "
    "nothing.",
}


def export(model: Seq2Seq, folder: Path, precision: Precision, scales: Mapping[str, float]) -> None:
    """Write the graphs; in float32 of standard operators only, in int8 with ONNX Runtime's."""

    def blank() -> AnyGraph:
        return Float32(model) if precision == "fp32" else Int8(model, scales)

    folder.mkdir(parents=True, exist_ok=True)
    sizes = _sizes(model)
    for contract in contracts(model, precision):
        graph = Float32(model) if contract.role == "candidates" else blank()
        say(graph, model, contract.role)
        made = graph.finish(contract.role, _signature(contract, sizes), DOCS[contract.role])
        onnx.save(made, str(folder / contract.file))


def say(graph: AnyGraph, model: Seq2Seq, role: str) -> None:
    """Say the graph of one role."""
    match role:
        case "encoder":
            encoders.encoder(graph, model)
        case "decoder":
            decoders.decoder(graph, model)
        case "forced":
            decoders.forced(graph, model)
        case _:
            graph.say("top_scores, top_tokens = TopK <axis = 1> (log_probabilities, count)")


def contracts(model: Seq2Seq, precision: Precision) -> list[Graph]:
    """Return what goes into each graph and comes out of it."""
    prepared = [
        Tensor(name, "float", ("batch", "source", axis))
        for name, axis in attention.prepared(model.sizes).items()
    ]
    if model.head is not None:
        prepared.append(Tensor("keys", "float", ("batch", "source", "alignment")))
    memory = (*prepared, Tensor("mask", "bool", ("batch", "source")))
    source = (
        Tensor("source", "int64", ("batch", "source")),
        Tensor("lengths", "int64", ("batch",)),
    )
    starts, before, after = _states(model)
    rows = _rows(model)
    scores = Tensor("log_probabilities", "float", ("batch", "vocabulary"))
    token = Tensor("token", "int64", ("batch",))
    graphs = [
        Graph("encoder", "encoder.onnx", precision, source, (*memory, *starts)),
        Graph(
            "decoder", "decoder.onnx", precision, (token, *before, *memory), (scores, *rows, *after)
        ),
        dataclasses.replace(CANDIDATES, precision=precision),
    ]
    if model.decoder.at_once:
        begins = before if model.state_size else ()
        graphs.append(_forced(precision, (*begins, *memory), rows))
    return graphs


def _forced(precision: str, known: Sequence[Tensor], rows: Sequence[Tensor]) -> Graph:
    """Return the contract of the graph for given targets, from those of the decoder's tensors.

    A state that grows is empty before the first token, so it is not read.
    """
    grid = ("batch", "target")
    tokens, following = (Tensor(name, "int64", grid) for name in ("tokens", "following"))
    lengths = Tensor("lengths", "int64", ("batch",))
    scores = Tensor("log_probabilities", "float", grid)
    all_rows = [dataclasses.replace(row, axes=(*grid, *row.axes[1:])) for row in rows]
    return Graph(
        "forced",
        "forced.onnx",
        precision,
        (tokens, following, lengths, *known),
        (scores, *all_rows),
    )


def _states(model: Seq2Seq) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return the state as the encoder starts it, as a step reads it and as a step leaves it."""
    if model.state_size:
        axes = ("batch", "state")
        names = ("start", "state", "next_state")
        start, before, after = (Tensor(name, "float", axes) for name in names)
        return [start], [before], [after]
    start, before, after = (
        Tensor(name, "int64", ("batch",))
        for name in ("start_position", "position", "next_position")
    )
    past = Tensor("past", "float", ("batch", "past", "entry"))
    empty = Tensor("start_past", "float", ("batch", "past", "entry"))
    entry = Tensor("entry", "float", ("batch", "entry"))
    return [empty, start], [past, before], [entry, after]


def _rows(model: Seq2Seq) -> list[Tensor]:
    rows = []
    if model.heads:
        heads = ("heads",) if model.sizes.attention.kind == "multi-head" else ()
        rows.append(Tensor("cross", "float", ("batch", *heads, "source")))
    if model.head is not None:
        rows.append(Tensor("alignment", "float", ("batch", "source")))
    return rows


def describe(model: Seq2Seq, precision: Precision, scales: Mapping[str, float]) -> dict[str, Any]:
    """Return what a manifest says of the graphs, as JSON, in the fields of `manifest.Model`.

    `special` and `limits` are the caller's to add.
    """
    graphs = contracts(model, precision)
    encoder, decoder, *_ = graphs
    taken = {tensor.name for tensor in decoder.inputs}
    attentions = [("cross", model.heads, 0)] if model.heads else []
    attentions += [("alignment", 1, 1)] if model.head is not None else []
    rounding = {
        "activation": quantize.ACTIVATION_SCALE,
        "zero_point": quantize.ZERO_POINT,
        **({"calibrated": dict(scales)} if scales else {}),
    }
    described = {
        "precision": precision,
        "opset": OPSET,
        "graphs": [dataclasses.asdict(graph) for graph in graphs],
        "memory": [tensor.name for tensor in encoder.outputs if tensor.name in taken],
        "state": [
            {"input": read.name, "output": left.name, "start": start.name, "axes": read.axes}
            for start, read, left in zip(*_states(model), strict=True)
        ],
        "attention": [
            {"kind": kind, "output": kind, "heads": heads, "delay": delay}
            for kind, heads, delay in attentions
        ],
        "scales": rounding if precision == "int8" else {},
    }
    return dict(json.loads(json.dumps(described)))


def _sizes(model: Seq2Seq) -> dict[str, int]:
    """Return the size of every axis that has one."""
    sizes = model.sizes
    looked = sum(len(model.get_parameter(f"{name}.weight")) for name in attention.looked(model))
    return {
        "memory": sizes.encoder.size,
        "looked": looked,
        "alignment": sizes.alignment_head,
        "state": model.state_size,
        "entry": model.entry_size,
        "heads": model.heads,
        "vocabulary": model.decoder.embedding.num_embeddings,
    }


def _signature(contract: Graph, sizes: Mapping[str, int]) -> str:
    """Spell `(inputs) => (outputs)` in ONNX text, with the sizes that are known."""

    def spell(tensor: Tensor) -> str:
        axes = ", ".join(str(sizes.get(axis, axis)) for axis in tensor.axes)
        return f"{tensor.type}[{axes}] {tensor.name}"

    sides = [", ".join(map(spell, side)) for side in (contract.inputs, contract.outputs)]
    return f"({sides[0]}) => ({sides[1]})"
