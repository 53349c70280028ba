"""Graphs that read other files: found wherever a tensor can hide, and junk is junk."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from service.device import HOST, PROBE
from service.errors import DamagedBundle
from service.external_data import HOLDS, check_self_contained


def tensor(location: str | None = "weights.bin", name: str = "w") -> TensorProto:
    made = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4])
    if location is None:
        made.raw_data = np.ones(4, np.float32).tobytes()
        return made
    made.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        made.external_data.add(key=key, value=value)
    return made


def model(*nodes: onnx.NodeProto, initializer: tuple[TensorProto, ...] = ()) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, 1, [4]) for name in "xy")
    graph = helper.make_graph(list(nodes), "g", [x], [y], list(initializer))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def plain(location: str | None = "weights.bin") -> onnx.ModelProto:
    return model(helper.make_node("Add", ["x", "w"], ["y"]), initializer=(tensor(location),))


def in_a_constant() -> onnx.ModelProto:
    constant = helper.make_node("Constant", [], ["w"], value=tensor())
    return model(constant, helper.make_node("Add", ["x", "w"], ["y"]))


def in_a_body() -> onnx.ModelProto:
    out = helper.make_tensor_value_info("w", 1, [4])
    body = helper.make_graph([], "body", [], [out], [tensor()])
    condition = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
    return model(condition)


def in_a_list_of_bodies() -> onnx.ModelProto:
    body = helper.make_graph([], "body", [], [], [tensor()])
    return model(helper.make_node("Many", [], ["y"], domain="own", bodies=[body]))


def in_a_function() -> onnx.ModelProto:
    made = model(helper.make_node("F", ["x"], ["y"], domain="own"))
    constant = helper.make_node("Constant", [], ["w"], value=tensor())
    opset = [helper.make_opsetid("", 21)]
    made.functions.append(helper.make_function("own", "F", ["x"], ["w"], [constant], opset))
    return made


def in_a_sparse_tensor() -> onnx.ModelProto:
    made = model(helper.make_node("Add", ["x", "w"], ["y"]))
    sparse = made.graph.sparse_initializer.add()
    sparse.values.CopyFrom(tensor(None))
    sparse.indices.CopyFrom(tensor())
    return made


def in_training() -> onnx.ModelProto:
    made = plain(None)
    made.training_info.add().algorithm.initializer.append(tensor())
    return made


def with_a_location_alone() -> onnx.ModelProto:
    made = plain(None)
    made.graph.initializer[0].data_location = TensorProto.EXTERNAL
    return made


def with_an_entry_alone() -> onnx.ModelProto:
    made = plain(None)
    made.graph.initializer[0].external_data.add(key="location", value="weights.bin")
    return made


@pytest.mark.parametrize(
    "hide",
    [
        plain,
        in_a_constant,
        in_a_body,
        in_a_list_of_bodies,
        in_a_function,
        in_a_sparse_tensor,
        in_training,
        with_a_location_alone,
        with_an_entry_alone,
    ],
)
def test_data_elsewhere_is_found(hide: Callable[[], onnx.ModelProto]) -> None:
    with pytest.raises(DamagedBundle, match=r"decoder\.onnx cannot be loaded: a tensor of it lies"):
        check_self_contained(hide().SerializeToString(), "decoder.onnx")


@pytest.mark.parametrize(
    "location", ["weights.bin", "../weights.bin", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"]
)
def test_a_graph_with_data_elsewhere_is_never_opened(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime would look into the working directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for place in ("weights.bin", "../weights.bin"):
        Path(place).write_bytes(np.ones(4, np.float32).tobytes())
    with pytest.raises(DamagedBundle, match="lies in another file"):
        HOST.open(plain(location).SerializeToString(), "decoder.onnx")


def test_a_graph_that_is_one_file_is_opened() -> None:
    session = HOST.open(plain(None).SerializeToString(), "decoder.onnx")
    out = session.run(["y"], {"x": np.ones(4, np.float32)})
    assert out["y"].tolist() == [2, 2, 2, 2]
    check_self_contained(PROBE, "the probe")


def test_every_way_to_a_tensor_is_known() -> None:
    """By the format's own description: no message that leads to a tensor is passed over."""
    names = {
        "ModelProto": "model",
        "GraphProto": "graph",
        "NodeProto": "node",
        "AttributeProto": "attribute",
        "SparseTensorProto": "sparse",
        "FunctionProto": "function",
        "TrainingInfoProto": "training",
        "TensorProto": "tensor",
    }
    messages = onnx.onnx_ml_pb2.DESCRIPTOR.message_types_by_name
    for name, called in names.items():
        ways = {
            field.number: names[field.message_type.name]
            for field in messages[name].fields
            if field.message_type is not None and field.message_type.name in names
        }
        assert dict(HOLDS[called]) == ways, name
    others = {
        field.message_type.name
        for message in messages.values()
        if message.name not in names
        for field in message.fields
        if field.message_type is not None
    }
    assert not others & names.keys(), "nothing else holds one of them"


def field(number: int, wire: int, body: bytes = b"") -> bytes:
    return bytes([number << 3 | wire]) + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no graph at all",
        b"\x08",  # a number that is missing
        b"\x08" + b"\xff" * 10,  # a number that never ends
        b"\x3a\x7f",  # longer than the file
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # longer than any file
        b"\xea\x80\x80\x80\x10\x00",  # tag 13 spelled with bits that others would drop
        field(0, 2, b"\x00"),
        field(7, 3),
        field(7, 4),
        field(7, 6),
        b"\x10\x00\x00\x00ORTM" + bytes(64),  # ONNX Runtime's own format, which it would guess
    ],
)
def test_what_is_no_graph_is_refused(content: bytes) -> None:
    with pytest.raises(DamagedBundle, match="cannot be loaded"):
        check_self_contained(content, "decoder.onnx")


def test_a_graph_of_bodies_in_bodies_is_refused() -> None:
    content = b""
    for _ in range(200):  # a graph in an attribute of a node of a graph
        for number in (6, 5, 1):
            size = len(content)
            length = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
            content = field(number, 2, length + content)
    size = len(content)
    length = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    with pytest.raises(DamagedBundle, match="nested too deeply"):
        check_self_contained(field(7, 2, length + content), "decoder.onnx")


@settings(deadline=None)
@given(st.data())
def test_a_graph_with_wrong_bytes_is_passed_or_refused(data: st.DataObject) -> None:
    content = bytearray(in_a_body().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    with suppress(DamagedBundle):
        check_self_contained(bytes(content), "decoder.onnx")
