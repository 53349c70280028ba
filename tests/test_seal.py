"""Sealing: what is refused, and that the manifest comes last."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from model_export import draft, seal
from model_export.run import Run
from model_export.seal import SealError
from service.bundle import describe_file, open_bundle
from service.errors import UnsealedBundle
from service.manifest import MANIFEST, Manifest, write_manifest

PARAMETERS = 12345


@pytest.fixture
def run(toy_run: Run, tmp_path: Path) -> Run:
    """A copy of what the toy run exported, verified and measured, to be spoiled."""
    made = Run(toy_run.recipe, toy_run.data, tmp_path / "toy")
    for name in ("int8", "fp32"):
        shutil.copytree(toy_run.path(name), made.path(name))
    for name in ("verify.json", "evaluate.json"):
        shutil.copyfile(toy_run.path(name), made.path(name))
    return made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "bundles" / "toy"


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a JSON file."""
    facts = json.loads(path.read_text(encoding="utf-8"))
    change(facts)
    path.write_text(json.dumps(facts), encoding="utf-8")


def test_a_sealed_folder_is_a_bundle(run: Run, out: Path) -> None:
    manifest = seal.seal(run, PARAMETERS, out)
    assert open_bundle(out).manifest == manifest
    assert {path.name for path in out.iterdir()} == {
        *(file.path for file in manifest.files),
        MANIFEST,
    }
    for name, checksum in draft.checksums(run, "int8").items():
        assert describe_file(out, name) in manifest.files
        assert describe_file(out, name).sha256 == checksum


def test_the_manifest_says_what_was_found(run: Run, out: Path) -> None:
    manifest = seal.seal(run, PARAMETERS, out)
    evaluated = json.loads(run.path("evaluate.json").read_text(encoding="utf-8"))
    verified = json.loads(run.path("verify.json").read_text(encoding="utf-8"))
    assert [dict(metric) for metric in manifest.metrics] == evaluated["metrics"]
    assert manifest.link_rule.threshold == evaluated["link_rule"]["threshold"]
    assert asdict(manifest.warn_from) == evaluated["warn_from"]
    assert dict(manifest.verification) == {name: verified[name] for name in ("int8", "fp32")}
    assert manifest.parameters == PARAMETERS
    assert manifest.model.precision == "int8"
    assert {"python", "torch", "onnxruntime"} <= set(manifest.versions)
    (data,) = manifest.data
    assert (data["corpus"], data["licence"], data["pairs"]) == ("toy", "CC0-1.0", 1500)


def test_the_version_is_a_date_and_all_of_the_files(run: Run, out: Path) -> None:
    version = seal.seal(run, PARAMETERS, out).version
    assert re.fullmatch(r"\d{4}\.\d\d\.\d\d\+[0-9a-f]{8}", version)
    assert seal.seal(run, PARAMETERS, out).version == version
    other = seal.seal(run, PARAMETERS * 1000, out).version  # the model card says so
    assert other != version


def test_the_card_is_part_of_the_bundle(run: Run, out: Path) -> None:
    manifest = seal.seal(run, PARAMETERS, out)
    assert "MODEL_CARD.md" in [file.path for file in manifest.files]
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.startswith("# toy: English to French\n")
    assert f"training saw at most {run.recipe.corpus.max_tokens}" in card


@pytest.mark.parametrize("name", ["verify", "evaluate"])
def test_what_was_not_checked_is_refused(run: Run, out: Path, name: str) -> None:
    run.path(f"{name}.json").unlink()
    with pytest.raises(SealError, match=rf"{name}\.json is missing: run `{name}` first"):
        seal.seal(run, PARAMETERS, out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["verify", "evaluate"])
@pytest.mark.parametrize("file", ["int8/decoder.onnx", "int8/source.model", "fp32/encoder.onnx"])
def test_what_changed_since_is_refused(run: Run, out: Path, name: str, file: str) -> None:
    other = "evaluate" if name == "verify" else "verify"
    path = run.path(file)
    path.write_bytes(path.read_bytes() + b"\n")
    fresh = {precision: draft.checksums(run, precision) for precision in ("int8", "fp32")}
    edit(run.path(f"{other}.json"), lambda facts: facts.update(files=fresh))
    precision = file.partition("/")[0]
    with pytest.raises(SealError, match=f"the {precision} files changed since `{name}`"):
        seal.seal(run, PARAMETERS, out)
    assert not out.exists()


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_failed_verification_is_refused(run: Run, out: Path, precision: str) -> None:
    edit(run.path("verify.json"), lambda facts: facts[precision].update(holds=False))
    with pytest.raises(SealError, match=f"verification failed for {precision}"):
        seal.seal(run, PARAMETERS, out)
    assert not out.exists()


def test_a_verification_of_something_else_is_refused(run: Run, out: Path) -> None:
    """Only fp32 was verified, but int8 would be sealed."""

    def forget(facts: dict[str, Any]) -> None:
        del facts["int8"], facts["files"]["int8"]

    edit(run.path("verify.json"), forget)
    with pytest.raises(SealError, match="`verify` has not seen the int8 files"):
        seal.seal(run, PARAMETERS, out)
    assert not out.exists()


def test_a_refusal_leaves_an_earlier_bundle_alone(run: Run, out: Path) -> None:
    before = seal.seal(run, PARAMETERS, out)
    run.path("verify.json").unlink()
    with pytest.raises(SealError):
        seal.seal(run, PARAMETERS, out)
    assert open_bundle(out).manifest == before


@pytest.mark.parametrize("earlier", [False, True])
def test_no_manifest_is_left_if_sealing_breaks_off(
    run: Run, out: Path, monkeypatch: pytest.MonkeyPatch, earlier: bool
) -> None:
    if earlier:
        seal.seal(run, PARAMETERS, out)

    def fail(*_: object) -> str:
        raise RuntimeError("broke off")

    monkeypatch.setattr(seal, "model_card", fail)
    with pytest.raises(RuntimeError, match="broke off"):
        seal.seal(run, PARAMETERS, out)
    assert (out / "decoder.onnx").is_file(), "it broke off midway"
    with pytest.raises(UnsealedBundle):
        open_bundle(out)


def test_the_manifest_is_written_when_everything_else_is_there(
    run: Run, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(folder: Path, manifest: Manifest) -> None:
        assert not (folder / MANIFEST).exists()
        for file in manifest.files:
            assert describe_file(folder, file.path) == file
        write_manifest(folder, manifest)

    monkeypatch.setattr(seal, "write_manifest", check)
    assert seal.seal(run, PARAMETERS, out).files


def test_records_are_read_back(run: Run) -> None:
    seal.record(run, "verify", {"int8": {"holds": True, "note": "é"}}, ["int8"])
    assert seal.read_record(run, "verify") == {"int8": {"holds": True, "note": "é"}}
