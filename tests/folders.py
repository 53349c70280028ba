"""Folders of bundles made of the toy bundle: renamed, renewed, or spoilt and sealed again."""

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from service.bundle import Bundle, describe_file, open_bundle
from service.manifest import MANIFEST, write_manifest

Change = Callable[[dict[str, Any]], None]


def place(
    toy_bundle: Bundle,
    root: Path,
    name: str = "en-fr",
    pair: tuple[str, str] = ("en", "fr"),
    version: str = "1",
) -> Path:
    """Copy the toy bundle under another name, for another pair, of another version.

    The folder is renamed into its place, so that no one finds half of it.
    """
    manifest, folder = toy_bundle.manifest, root / name
    new, old = root / f".{name}.new", root / f".{name}.old"
    shutil.copytree(toy_bundle.folder, new)
    source, target = (
        replace(side, code=code, name=code.upper())
        for side, code in zip((manifest.source, manifest.target), pair, strict=True)
    )
    named = replace(manifest, name=name, version=version, source=source, target=target)
    write_manifest(new, named)
    if folder.exists():
        folder.rename(old)
        shutil.rmtree(old)
    return new.rename(folder)


def edit(folder: Path, change: Change) -> None:
    """Change a manifest as whoever sealed it could have written it."""
    path = folder / MANIFEST
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def seal_again(folder: Path) -> None:
    """Write the checksums of the files as they are now."""

    def change(data: dict[str, Any]) -> None:
        for file in data["files"]:
            now = describe_file(folder, file["path"])
            file.update(bytes=now.bytes, sha256=now.sha256)

    edit(folder, change)


def spoil(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file, and seal the folder again, so that only a look inside can tell."""
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    seal_again(folder)
    open_bundle(folder)


def in_graph(change: Callable[[onnx.ModelProto], None]) -> Callable[[bytes], bytes]:
    """Return a change of bytes that is one of the graph that they spell."""

    def changed(content: bytes) -> bytes:
        model = onnx.load_model_from_string(content)
        change(model)
        spelled: bytes = model.SerializeToString()
        return spelled

    return changed


def with_nan(model: onnx.ModelProto) -> None:
    """Let every float weight of a graph be no number."""
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = np.full_like(numpy_helper.to_array(tensor), np.nan)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def without_end(model: onnx.ModelProto) -> None:
    """Let the first output of a graph go round in a loop for ever."""
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["once" if one == name else one for one in node.output]
        node.input[:] = ["once" if one == name else one for one in node.input]
    kind = model.graph.output[0].type.tensor_type.elem_type
    turn, go, more = (
        helper.make_tensor_value_info("turn", onnx.TensorProto.INT64, []),
        *(helper.make_tensor_value_info(one, onnx.TensorProto.BOOL, []) for one in ("go", "more")),
    )
    held, kept = (helper.make_tensor_value_info(one, kind, None) for one in ("held", "kept"))
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in (("go", "more"), ("held", "kept"))]
    body = helper.make_graph(nodes, "body", [turn, go, held], [more, kept])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
    model.graph.node.append(helper.make_node("Loop", ["", "always", "once"], [name], body=body))


def elsewhere(model: onnx.ModelProto) -> None:
    """Let the first weight of a graph lie in a file beside it."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="MODEL_CARD.md")


def worker_threads() -> int:
    """Return how many threads of engines are alive."""
    return sum(thread.name == "interlinea-worker" for thread in threading.enumerate())
