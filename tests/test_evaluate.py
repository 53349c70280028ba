"""Scores: by hand on known attentions, tuned on the tuning set alone, measured as served."""

import dataclasses
import json
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from model_export import draft, evaluate
from model_export.evaluate import Attended, alignment_score, tune
from model_export.gold import Gold
from model_export.run import Run
from service.alignment import Floats, Link
from service.bundle import Bundle
from service.manifest import LinkRule
from service.options import Options, Pair
from service.translator import Translator


def attended(rows: Sequence[Sequence[float]], links: set[tuple[int, int]]) -> Attended:
    """A pair of two and two words: weights of the words alone, `</s>` gets the rest."""
    matrix = np.zeros((3, 3), np.float32)
    matrix[:2, :2] = rows
    matrix[:, 2] = 1 - matrix.sum(axis=1)
    gold = Gold(("a", "b"), ("c", "d"), frozenset(links), frozenset(links))
    return Attended(gold, {"cross": matrix[::-1].copy(), "alignment": matrix})


CROSSED = attended([[0.1, 0.8], [0.7, 0.2]], {(1, 0), (0, 1)})
"""Target 0 looks at source 1 and the other way round, as it should."""

WEAK = attended([[0.4, 0.0], [0.0, 0.3]], {(0, 0)})
"""The second link is wrong, and weaker than the first."""


def test_known_attentions_give_known_scores() -> None:
    rule = LinkRule("alignment", "mutual-best", 0.25)
    perfect = alignment_score([CROSSED], rule)
    assert (perfect.aer, perfect.precision, perfect.recall) == (0.0, 100.0, 100.0)
    both = alignment_score([CROSSED, WEAK], rule)
    assert both.aer == pytest.approx(100 * (1 - 6 / 7))  # 4 links, 3 of them in gold's 3
    assert both.precision == pytest.approx(75)
    assert both.recall == pytest.approx(100)
    assert alignment_score([CROSSED, WEAK], LinkRule("alignment", "mutual-best", 0.35)).aer == 0


def test_a_rule_reads_its_own_attention() -> None:
    wrong = alignment_score([CROSSED], LinkRule("cross", "best-source", 0.25))
    assert wrong.recall == 50  # its rows are those of `</s>`, of the second and the first word


def test_tuning_finds_the_lowest_error() -> None:
    rule = tune([CROSSED, WEAK], "alignment", ["mutual-best"])
    assert rule.attention == "alignment"
    assert 0.3 < rule.threshold <= 0.4
    assert alignment_score([CROSSED, WEAK], rule).aer == 0
    chosen = tune([CROSSED, WEAK], "alignment", ("mutual-best", "strong-share"))
    errors = [
        alignment_score([CROSSED, WEAK], LinkRule("alignment", name, threshold)).aer
        for name in ("mutual-best", "strong-share")
        for threshold in evaluate.THRESHOLDS
    ]
    assert alignment_score([CROSSED, WEAK], chosen).aer == min(errors)


def test_thresholds_span_the_scale() -> None:
    assert evaluate.THRESHOLDS[0] <= 0.02
    assert evaluate.THRESHOLDS[-1] >= 0.9
    assert list(evaluate.THRESHOLDS) == sorted(set(evaluate.THRESHOLDS))


SETS = ("tuning.tsv.gz", "other.tsv.gz")
STRONG = attended([[0.9, 0.0], [0.0, 0.6]], {(0, 0)})
"""Like `WEAK`, but its wrong link needs a higher threshold."""


class Idle:
    """Stands for a translator that is not asked to translate, of a model with attention."""

    manifest = SimpleNamespace(model=SimpleNamespace(attention=("cross", "alignment")))

    def __init__(self, *_: object) -> None: ...

    def close(self, grace_seconds: float) -> None: ...


def measured(
    run: Run, monkeypatch: pytest.MonkeyPatch, rows: dict[str, list[Attended]]
) -> tuple[LinkRule, list[evaluate.Metric]]:
    """Evaluate alignment alone, on sets whose attentions are known."""
    sets = dataclasses.replace(
        run.recipe.evaluation, translation=(), alignment=SETS, tuning=SETS[0]
    )
    recipe = dataclasses.replace(run.recipe, evaluation=sets)
    monkeypatch.setattr(evaluate, "Translator", Idle)
    monkeypatch.setattr(draft, "open_draft", lambda *_: None)
    monkeypatch.setattr(Run, "gold", lambda _, name: rows[name])
    monkeypatch.setattr(evaluate, "attend", lambda _, gold: gold)
    return evaluate.evaluate(Run(recipe, Path(), Path()), lambda _: None)


def test_only_the_tuning_set_is_tuned_on(toy_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, metrics = measured(
        toy_run, monkeypatch, {SETS[0]: [CROSSED, WEAK], SETS[1]: [CROSSED, STRONG]}
    )
    assert 0.3 < rule.threshold <= 0.4
    again, _ = measured(toy_run, monkeypatch, {SETS[0]: [CROSSED, WEAK], SETS[1]: [WEAK]})
    assert again == rule, "another set changes nothing"
    other, _ = measured(
        toy_run, monkeypatch, {SETS[0]: [CROSSED, STRONG], SETS[1]: [CROSSED, WEAK]}
    )
    assert other.threshold > 0.6
    assert {m["set"] for m in metrics if m["tuned_here"]} == {"tuning"}
    assert {m["set"] for m in metrics if not m["tuned_here"]} == {"other"}
    assert {(m["tuning"], m["tuning_lines"]) for m in metrics} == {("tuning", 2)}


def test_what_is_left_of_the_tuning_set_is_measured(
    toy_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = dataclasses.replace(toy_run.recipe.evaluation, tuning_lines=2)
    half = Run(dataclasses.replace(toy_run.recipe, evaluation=options), Path(), Path())
    rows = {SETS[0]: [CROSSED, WEAK, STRONG], SETS[1]: [CROSSED]}
    rule, metrics = measured(half, monkeypatch, rows)
    assert 0.3 < rule.threshold <= 0.4, "the third line was not looked at"
    counts = {(m["set"], m["sentences"], m["tuned_here"]) for m in metrics}
    assert counts == {("tuning", 1, False), ("other", 1, False)}
    assert {(m["tuning"], m["tuning_lines"]) for m in metrics} == {("tuning", 2)}


@pytest.mark.parametrize("name", ["mutual-best", "strong-share", "best-source"])
def test_a_recipe_may_want_a_rule(toy_run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    options = dataclasses.replace(toy_run.recipe.evaluation, rules=(name,))
    one = Run(dataclasses.replace(toy_run.recipe, evaluation=options), Path(), Path())
    rule, _ = measured(one, monkeypatch, {SETS[0]: [CROSSED, WEAK], SETS[1]: [CROSSED, STRONG]})
    assert rule.rule == name


def test_the_shipped_rule_is_measured_on_every_set(
    toy_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {SETS[0]: [CROSSED, WEAK], SETS[1]: [CROSSED, STRONG]}
    rule, metrics = measured(toy_run, monkeypatch, rows)
    shipped = [m for m in metrics if m["shipped"] and m["precision"] == "int8"]
    assert [m["set"] for m in shipped] == ["tuning", "other"]
    for metric, name in zip(shipped, SETS, strict=True):
        assert (metric["attention"], metric["rule"]) == ("alignment", rule.rule)
        assert metric["threshold"] == rule.threshold
        scored = alignment_score(rows[name], rule)
        assert metric["aer"] == round(scored.aer, 2)
        assert metric["sentences"] == 2
    kinds = {(m["attention"], m["rule"]) for m in metrics}
    assert {("cross", "best-source"), ("alignment", "best-source"), ("cross", rule.rule)} <= kinds


def test_where_nothing_attends_nothing_is_tuned(
    toy_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = LinkRule("none", "none", 0.0)
    bare = SimpleNamespace(model=SimpleNamespace(attention=()), link_rule=nothing)
    monkeypatch.setattr(Idle, "manifest", bare)
    rule, metrics = measured(toy_run, monkeypatch, {})
    assert rule == nothing
    assert metrics == []


def stub(texts: list[str], code: str) -> Translator:
    """A translator into a language that knows its translations."""

    async def translate(sources: Sequence[str], options: Options) -> list[Any]:
        assert len(sources) == len(texts)
        return [SimpleNamespace(text=text) for text in texts]

    manifest = SimpleNamespace(target=SimpleNamespace(code=code))
    return cast(Translator, SimpleNamespace(translate=translate, manifest=manifest))


def test_translations_are_scored_with_signatures() -> None:
    texts = ["The old cat sees a red house.", "It rains."]
    scores = evaluate.translation_scores(stub(texts, "fr"), ["a", "b"], texts, Options(4))
    assert scores["bleu"] == pytest.approx(100)
    assert scores["chrf"] == pytest.approx(100)
    assert (scores["beam_size"], scores["sentences"]) == (4, 2)
    assert "tok:13a" in str(scores["bleu_signature"])
    assert "version:" in str(scores["chrf_signature"])
    worse = evaluate.translation_scores(
        stub(["The old dog sees a red house.", "No."], "fr"), ["a", "b"], texts, Options()
    )
    assert 0 < cast(float, worse["bleu"]) < 90
    assert 0 < cast(float, worse["chrf"]) < 90


def test_chinese_is_scored_by_characters() -> None:
    scores = evaluate.translation_scores(
        stub(["我们看见一只黑猫"], "zh-Hans"), ["a"], ["我们看见一只黑猫"], Options()
    )
    assert scores["bleu"] == pytest.approx(100)
    assert "tok:zh" in str(scores["bleu_signature"])


def test_gold_words_are_force_decoded(translator: Translator) -> None:
    rows = [
        Gold(("the", "cat", "sees"), ("le", "chat", "voit"), frozenset(), frozenset()),
        Gold(("the", "black", "dog", "."), ("le", "chien", "noir", "."), frozenset(), frozenset()),
    ]
    found = evaluate.attend(translator, rows)
    assert [item.gold for item in found] == rows
    for item in found:
        assert list(item.words) == ["cross", "alignment"]
        matrices: list[Floats] = list(item.words.values())
        for matrix in matrices:
            assert matrix.shape == (len(item.gold.target) + 1, len(item.gold.source) + 1)
            assert matrix.sum(axis=1) == pytest.approx(1.0, abs=1e-4)
        assert not np.allclose(matrices[0], matrices[1])


def test_the_toy_bundle_was_measured_in_both_precisions(toy_run: Run) -> None:
    measured = json.loads(toy_run.path("evaluate.json").read_text(encoding="utf-8"))
    assert measured["link_rule"]["attention"] == "alignment"
    assert 0 <= min(measured["warn_from"].values()) <= max(measured["warn_from"].values()) < 9
    metrics = measured["metrics"]
    translated = [(m["precision"], m["beam_size"]) for m in metrics if "bleu" in m]
    assert translated == [("int8", 1), ("int8", 4), ("fp32", 1)]
    assert {m["set"] for m in metrics} == {"dev", "gold"}


def test_links_of_both_directions_are_merged_and_measured(
    toy_run: Run, toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = LinkRule("alignment", "best-source", 0.25)
    row = Gold(("a", "b"), ("x", "y"), frozenset({(0, 0), (1, 1)}), frozenset({(0, 0), (1, 1)}))
    found = {"intersection": [(0, 0)], "union": [(0, 0), (1, 1), (1, 0)]}

    async def merged(
        forward: Translator, backward: Translator, pairs: list[Pair], _: Options, method: str
    ) -> list[Any]:
        assert forward.manifest.link_rule == rule
        assert (backward.manifest.name, pairs) == ("toy", [Pair(row.source, row.target)])
        links = [Link(s, t, 1.0) for s, t in found.get(method, [])]
        return [SimpleNamespace(alignment=links)]

    monkeypatch.setattr(Run, "gold", lambda *_: [row])
    monkeypatch.setattr(evaluate, "align_both_ways", merged)
    told: list[evaluate.Metric] = []
    metrics = evaluate.evaluate_both_ways(toy_run, rule, toy_bundle, told.append)
    assert metrics == told
    by_method = {metric["symmetrized"]: metric for metric in metrics}
    assert list(by_method) == ["intersection", "union", "grow-diag", "grow-diag-final-and"]
    assert by_method["intersection"]["alignment_recall"] == 50.0
    assert by_method["union"]["aer"] == 20.0
    named = by_method["union"]["reverse"]
    assert re.fullmatch("toy, graphs and tokenizers [0-9a-f]{8}", str(named))


def test_the_other_bundle_is_named_by_what_makes_its_links(toy_bundle: Bundle) -> None:
    manifest = toy_bundle.manifest
    named = evaluate._named(manifest)
    card, *graphs = sorted(manifest.files, key=lambda file: file.path != "MODEL_CARD.md")
    assert card.path == "MODEL_CARD.md"
    other_card = dataclasses.replace(card, sha256="0" * 64)
    told = dataclasses.replace(manifest, version="2", files=(*reversed(graphs), other_card))
    assert evaluate._named(told) == named
    for changed in graphs:
        files = (
            card,
            *(f for f in graphs if f != changed),
            dataclasses.replace(changed, sha256="f"),
        )
        assert evaluate._named(dataclasses.replace(manifest, files=files)) != named, changed.path
    paths = sorted(str(path) for path in toy_bundle.folder.iterdir() if path.suffix != ".json")
    sums = [sha256(Path(path).read_bytes()).hexdigest() for path in paths]
    names = [Path(path).name for path in paths]
    lines = sorted(f"{a}  {b}\n" for a, b in zip(sums, names, strict=True) if b != card.path)
    assert named.endswith(" " + sha256("".join(lines).encode()).hexdigest()[:8]), "as a shell says"


def test_links_of_no_attention_are_not_merged(toy_run: Run, toy_bundle: Bundle) -> None:
    nothing = LinkRule("none", "none", 0.0)
    assert evaluate.evaluate_both_ways(toy_run, nothing, toy_bundle, lambda _: None) == []
    model = dataclasses.replace(toy_bundle.manifest.model, attention=())
    bare = Bundle(toy_bundle.folder, dataclasses.replace(toy_bundle.manifest, model=model))
    rule = toy_bundle.manifest.link_rule
    assert evaluate.evaluate_both_ways(toy_run, rule, bare, lambda _: None) == []


def test_without_gold_the_link_rule_is_a_usual_one(toy_run: Run, toy_bundle: Bundle) -> None:
    sets = dataclasses.replace(toy_run.recipe.evaluation, alignment=(), tuning="")
    run = dataclasses.replace(toy_run, recipe=dataclasses.replace(toy_run.recipe, evaluation=sets))
    rule, metrics = evaluate.evaluate(run, lambda _: None)
    assert rule == LinkRule("alignment", "mutual-best", 0.3)
    assert {metric["set"] for metric in metrics} == {"dev"}
    assert evaluate.evaluate_both_ways(run, rule, toy_bundle, lambda _: None) == []
