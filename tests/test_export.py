"""Exported folders: what lies in them, and that it is as the manifest describes it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from model_export import config, export
from model_export.graphs import decoders, encoders, spelling
from model_export.model import Seq2Seq
from tests.architectures import (
    ARCHITECTURES,
    FIRST_WORD,
    PIECES,
    PRECISIONS,
    Exported,
    exported,
    network,
    shown,
)


def roles(model: Seq2Seq) -> list[str]:
    """Where a step reads what the one before has found, no target is read at once."""
    return ["encoder", "decoder", "candidates", *(["forced"] if model.decoder.at_once else [])]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(ARCHITECTURES[request.param], tmp_path_factory.mktemp("graphs"))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_graphs_are_as_described(one: Exported, precision: export.Precision) -> None:
    described = export.describe(one.model, precision, {})
    assert json.loads(json.dumps(described)) == described
    assert [about["role"] for about in described["graphs"]] == roles(one.model)
    for about in described["graphs"]:
        made = onnx.load(one.folders[precision] / about["file"])
        assert made.ir_version == spelling.IR_VERSION
        opsets = {entry.domain: entry.version for entry in made.opset_import}
        assert opsets[""] == described["opset"]
        assert made.doc_string
        assert about["precision"] == precision
        for side, values in (("inputs", made.graph.input), ("outputs", made.graph.output)):
            assert [value.name for value in values] == [item["name"] for item in about[side]]
            for value, item in zip(values, about[side], strict=True):
                check_axes(one.model.sizes, value, item["axes"])


def check_axes(about: config.Model, value: onnx.ValueInfoProto, axes: list[str]) -> None:
    """Dynamic axes have their name in the graph, the others the size that it stands for."""
    layers, kind = about.decoder.layers, about.attention.kind
    sizes = {
        "memory": 16,
        "alignment": 8,
        "vocabulary": PIECES,
        "heads": about.attention.heads,
        "entry": 2 * layers * 16,
        "looked": 2 * layers * 16 if kind == "multi-head" else 10,
        "state": (16 + about.decoder.top) * (2 if about.decoder.kind == "lstm" else 1)
        + 18 * about.decoder.input_feeding,
    }
    found = [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
    assert found == [sizes.get(axis, axis) for axis in axes]


def test_fp32_needs_standard_operators_only(one: Exported) -> None:
    for path in one.folders["fp32"].iterdir():
        assert [entry.domain for entry in onnx.load(path).opset_import] == [""]


def test_the_folder_holds_the_graphs(one: Exported) -> None:
    for folder in one.folders.values():
        assert {path.name for path in folder.iterdir()} == {
            f"{role}.onnx" for role in roles(one.model)
        }


def test_int8_takes_a_byte_a_weight(one: Exported) -> None:
    """But for single rows and columns, which stay in float32, and the places of a Transformer."""
    named = set(roles(one.model)) - {"candidates"}
    for path in (one.folders["int8"] / f"{role}.onnx" for role in named):
        stored = {item.name: item for item in onnx.load(path).graph.initializer}
        stored.pop("places_table", None)
        large = [item for item in stored.values() if len(item.dims) > 1 and min(item.dims) > 1]
        assert large
        assert all(item.data_type == onnx.TensorProto.INT8 for item in large)
        assert sum(item.dims[0] == PIECES for item in large) == 1  # the embedding, once


def test_a_manifest_takes_the_description(one: Exported) -> None:
    about, sizes = one.about["int8"], one.model.sizes
    kinds = [(row.kind, row.heads, row.delay) for row in about.attention]
    cross = [] if sizes.attention.kind == "none" else [("cross", sizes.attention.heads, 0)]
    assert kinds == [*cross, *([("alignment", 1, 1)] if sizes.alignment_head else [])]
    assert about.scales["zero_point"] == 128
    assert about.scales.get("calibrated", {}) == shown(one.model)
    assert one.about["fp32"].scales == {}
    prepared = {
        "none": (),
        "multi-head": ("looked",),
        "additive": ("memory", "looked"),
        "concat": ("memory", "looked"),
    }.get(sizes.attention.kind, ("memory",))
    keys = ("keys",) if sizes.alignment_head else ()
    assert about.memory == (*prepared, *keys, "mask")
    if sizes.decoder.kind == "transformer":
        assert [(state.input, state.output, state.start) for state in about.state] == [
            ("past", "entry", "start_past"),
            ("position", "next_position", "start_position"),
        ]
        assert about.growing == {"past"}
    else:
        assert [(s.input, s.output, s.start) for s in about.state] == [
            ("state", "next_state", "start")
        ]
        assert not about.growing


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_a_table_has_a_place_for_every_token_allowed(tmp_path: Path, side: str) -> None:
    """A Transformer's places are looked up; limits of the manifest lie within."""
    made = exported(network("transformer", "transformer", "multi-head"), tmp_path)
    limits = made.about["int8"].limits
    if side == "encoder":
        assert limits.source_tokens + 1 <= encoders.PLACES
        assert made.runner("int8").encode([[FIRST_WORD] * (limits.source_tokens + 1)])
    else:
        assert limits.target_tokens + 1 < decoders.PLACES
        runner = made.runner("int8")
        (encoded,) = runner.encode([[5, 6, 7]])
        state = {
            "past": np.zeros((1, limits.target_tokens + 16, 32), np.float32),
            "position": np.array([limits.target_tokens + 1]),
        }
        memory = {name: value[None] for name, value in encoded.memory.items()}
        assert np.isfinite(runner.step([5], memory, state).scores).all()
        (scored,) = runner.force([encoded], [[5] * (limits.target_tokens + 1)])
        assert np.isfinite(scored.scores).all()


def test_two_precisions_share_one_contract(one: Exported) -> None:
    int8, fp32 = (export.contracts(one.model, precision) for precision in PRECISIONS)
    assert [dataclasses.replace(graph, precision="fp32") for graph in int8] == [
        dataclasses.replace(graph, precision="fp32") for graph in fp32
    ]
