"""The manifest: read back as written, and every field held to its type and its bounds."""

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.bundle import Bundle
from service.errors import BundleError, DamagedBundle
from service.manifest import MANIFEST, Manifest, parse_manifest, write_manifest
from tests.test_fields import VALUES

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def good(toy_bundle: Bundle) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((toy_bundle.folder / MANIFEST).read_text(encoding="utf-8"))
    return data


def made(data: object) -> Manifest:
    return parse_manifest(json.dumps(data).encode(), "toy: bundle.json")


def test_a_manifest_is_read_back_as_it_was_written(toy_bundle: Bundle, tmp_path: Path) -> None:
    write_manifest(tmp_path, toy_bundle.manifest)
    content = (tmp_path / MANIFEST).read_bytes()
    assert parse_manifest(content, MANIFEST) == toy_bundle.manifest


def put(*path: str | int, to: object) -> Change:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = to

    return change


def twice(*path: str | int) -> Change:
    def change(data: Any) -> None:
        for key in path:
            data = data[key]
        data.append(data[0])

    return change


WRONG = [
    (put("format", to=99), "is not of format 1"),
    (put("format", to=True), "format has the wrong type"),
    (put("surprise", to=1), "unknown field surprise"),
    (put("model", "opset", to="20"), "model.opset has the wrong type"),
    (put("model", "graphs", to={}), "model.graphs must be a list"),
    (put("source", to=[]), "source must be an object"),
    (put("link_rule", to={"attention": "cross"}), "missing field link_rule.rule"),
    (put("parameters", to=True), "parameters has the wrong type"),
    (put("parameters", to=-1), "parameters must lie between 0"),
    (put("name", to="../en-fr"), "name must be a short name"),
    (put("name", to="en-fr\nERROR: all is lost"), "name must be a short name"),
    (put("name", to=""), "name must be a short name"),
    (put("version", to="a b"), "version must be a version"),
    (put("licence", to="x" * 2000), "licence has 2000 items or characters"),
    (put("source", "code", to="en\0"), "source.code must be a BCP-47 code"),
    (put("source", "joiner", to="-" * 9), "source.joiner must be a space or empty"),
    (put("target", "tokenizer", to="/etc/passwd"), "target.tokenizer must be a path inside"),
    (put("target", "tokenizer", to="a/../../b"), "target.tokenizer must be a path inside"),
    (put("target", "tokenizer", to="..\\b"), "target.tokenizer must be a path inside"),
    (put("model", "graphs", 0, "file", to="../encoder.onnx"), r"graphs\[0\].file must be a path"),
    (put("model", "graphs", 0, "file", to=".hidden"), r"graphs\[0\].file must be a path"),
    (put("model", "graphs", 0, "inputs", 0, "axes", to=["a"] * 9), "axes has 9 items"),
    (put("model", "attention", 0, "heads", to=10**9), "heads must lie between 1 and 256"),
    (put("model", "attention", 0, "delay", to=-1), "delay must lie between 0 and 1"),
    (put("model", "attention", 0, "kind", to="none"), "kind must be cross or alignment"),
    (put("model", "special", "eos", to=-3), "model.special.eos must lie between 0"),
    (put("model", "special", "eos", to=0), "model.special names 0 twice"),
    (put("model", "limits", "source_tokens", to=0), "source_tokens must lie between 1 and 65536"),
    (put("model", "limits", "target_tokens", to=10**12), "target_tokens must lie between 1"),
    (put("model", "limits", "source_multiple", to=0), "source_multiple must lie between 1"),
    (put("model", "memory", to=[]), "model.memory is empty"),
    (put("model", "scales", "activation", to=-1.0), "scales.activation is not a number from 0 on"),
    (put("model", "scales", "activation", to="1"), "scales.activation is not a number from 0 on"),
    (put("model", "scales", "x", to={"y": False}), "scales.y is not a number from 0 on"),
    (put("link_rule", "threshold", to=-0.1), "threshold must lie between 0.0 and 1.0"),
    (put("link_rule", "threshold", to=10**14), "threshold must lie between 0.0 and 1.0"),
    (put("link_rule", "attention", to="ghost"), "link_rule.attention is none of"),
    (put("files", 0, "bytes", to=-1), r"files\[0\].bytes must lie between 0"),
    (put("files", 0, "sha256", to="0" * 63), r"files\[0\].sha256 must be a SHA-256"),
    (put("files", 0, "path", to="/dev/zero"), r"files\[0\].path must be a path inside"),
    (twice("files"), "files names .* twice"),
    (twice("model", "graphs"), "model.graphs names encoder twice"),
    (twice("model", "graphs", 0, "inputs"), "the inputs of encoder names source twice"),
    (twice("model", "graphs", 1, "outputs"), "the outputs of decoder names .* twice"),
    (twice("model", "memory"), "model.memory names .* twice"),
    (twice("model", "state"), "model.state names state twice"),
    (put("metrics", to=[{"bleu": 10**30}]), "more than 15 digits"),
    (put("sizes", "deep", to=json.loads("[" * 30 + "]" * 30)), "nested too deeply"),
]


@pytest.mark.parametrize(("change", "says"), WRONG)
def test_a_wrong_field_is_named(good: dict[str, Any], change: Change, says: str) -> None:
    data = copy.deepcopy(good)
    change(data)
    with pytest.raises(DamagedBundle, match=says) as caught:
        made(data)
    assert caught.value.message.startswith("toy: bundle.json")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_scale_that_is_no_number_is_refused(good: dict[str, Any], number: str) -> None:
    text = json.dumps(good).replace('"zero_point": 128', f'"zero_point": {number}')
    assert number in text
    with pytest.raises(DamagedBundle, match=r"bundle\.json cannot be read"):
        parse_manifest(text.encode(), "toy: bundle.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "\ufeff{}", '"x"', "\0", "[" * 200_000])
def test_a_manifest_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match=r"toy: bundle\.json cannot be read"):
        parse_manifest(text.encode(), "toy: bundle.json")


def paths(data: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the way to every value in some JSON."""
    keys = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    here = [at] if at else []
    return here + [path for key in keys for path in paths(data[key], (*at, key))]  # type: ignore[index]


@settings(deadline=None)
@given(st.data())
def test_a_manifest_with_any_value_anywhere_is_read_or_refused(
    good: dict[str, Any], data: st.DataObject
) -> None:
    spoilt = copy.deepcopy(good)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths(spoilt)))
        put(*path, to=data.draw(VALUES | st.integers() | st.text()))(spoilt)
    with suppress(DamagedBundle):
        json.dumps(made(spoilt).summary(), allow_nan=False).encode()


def test_the_summary_is_what_a_client_sees(toy_bundle: Bundle) -> None:
    summary = toy_bundle.manifest.summary()
    assert summary["name"] == "toy"
    assert summary["attention"] == ["cross", "alignment"]
    assert summary["alignment_from"] == "alignment"
    json.dumps(summary)
