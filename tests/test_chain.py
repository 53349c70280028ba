"""The chain from data to a sealed bundle, run for real on the toy pair by `conftest`."""

import json

from model_export.run import Run
from service.bundle import Bundle


def metrics(bundle: Bundle, key: str) -> list[dict[str, object]]:
    return [dict(metric) for metric in bundle.manifest.metrics if key in metric]


def test_the_toy_model_learns_its_language(toy_bundle: Bundle) -> None:
    for metric in metrics(toy_bundle, "bleu"):
        assert isinstance(metric["bleu"], float)
        assert metric["bleu"] > 90, metric


def test_its_alignment_head_points_where_it_should(toy_bundle: Bundle) -> None:
    shipped = [m for m in metrics(toy_bundle, "aer") if m["shipped"]]
    assert {m["precision"] for m in shipped} == {"int8", "fp32"}
    for metric in shipped:
        assert isinstance(metric["aer"], float)
        assert metric["aer"] < 5, metric
        assert metric["attention"] == "alignment"


def test_the_manifest_says_how_far_the_graphs_agree_with_torch(toy_bundle: Bundle) -> None:
    for precision in ("int8", "fp32"):
        facts = toy_bundle.manifest.verification[precision]
        assert facts["holds"]
        assert facts["sentences"] > 50
        assert facts["log_probability"] <= facts["tolerance"]
    assert toy_bundle.manifest.verification["int8"]["crowd"] == 0.0


def test_training_leaves_a_log_and_pictures(toy_run: Run) -> None:
    rows = [json.loads(line) for line in toy_run.path("log.jsonl").read_text().splitlines()]
    assert any("chrf" in row for row in rows)
    for name in ("curve.png", "attention.png"):
        assert toy_run.path(name).read_bytes().startswith(b"\x89PNG")
