"""The model card: every figure of the manifest, where a reader looks for it."""

from dataclasses import replace

import pytest

from model_export.card import model_card
from model_export.config import Recipe
from model_export.run import Run
from service.bundle import Bundle
from service.manifest import LinkRule, Manifest

BLEU: dict[str, object] = {
    "set": "talks",
    "precision": "int8",
    "bleu": 41.27,
    "bleu_signature": "signature-of-bleu",
    "chrf": 63.91,
    "chrf_signature": "signature-of-chrf",
    "beam_size": 4,
    "sentences": 777,
}
AER: dict[str, object] = {
    "set": "hansards",
    "precision": "int8",
    "attention": "alignment",
    "rule": "mutual-best",
    "threshold": 0.26,
    "shipped": True,
    "tuned_here": False,
    "aer": 9.87,
    "alignment_precision": 91.2,
    "alignment_recall": 88.5,
    "sentences": 447,
}
FACTS: dict[str, object] = {
    "holds": True,
    "tolerance": 0.125,
    "sentences": 96,
    "tokens": 2000,
    "close_tokens": 1500,
    "log_probability": 0.00321,
    "attention": {"cross": 0.0011, "alignment": 0.0077},
    "crowd": 0.0,
}


@pytest.fixture
def manifest(toy_bundle: Bundle) -> Manifest:
    row: dict[str, object] = {"corpus": "tales", "pairs": 4321, "share": 0.25, "licence": "CC0"}
    row |= {"attribution": "Ann", "url": "a:b"}
    metrics: tuple[dict[str, object], ...] = (
        BLEU,
        {**BLEU, "precision": "fp32", "bleu": 42.58},
        {**AER, "tuned_here": True, "set": "tales"},
        {**AER, "shipped": False, "attention": "cross", "rule": "best-source", "aer": 23.45},
        AER,
        {**AER, "precision": "fp32", "aer": 8.76},
    )
    return replace(
        toy_bundle.manifest,
        parameters=12_345_678,
        data=(row,),
        metrics=metrics,
        verification={"int8": FACTS},
    )


@pytest.fixture
def recipe(toy_run: Run) -> Recipe:
    """The toy recipe, with a length of its own that training sees at most."""
    return replace(toy_run.recipe, corpus=replace(toy_run.recipe.corpus, max_tokens=83))


def test_links_of_both_directions_are_listed(manifest: Manifest, recipe: Recipe) -> None:
    merged = {
        "set": "tales",
        "precision": "int8",
        "symmetrized": "grow-diag",
        "reverse": "fr-en, graphs and tokenizers 0123abcd",
        "aer": 7.89,
        "alignment_precision": 95.1,
        "alignment_recall": 90.2,
        "sentences": 5,
    }
    assert "Merged" not in model_card(manifest, recipe)
    card = model_card(replace(manifest, metrics=(*manifest.metrics, merged)), recipe)
    assert "Merged with the links of fr-en, graphs and tokenizers 0123abcd:" in card
    assert "| tales | grow-diag | 7.89 | 95.1 | 90.2 |" in card


def section(card: str, title: str) -> str:
    """The text under a heading."""
    return card.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_head_says_what_it_is(manifest: Manifest, recipe: Recipe) -> None:
    head = model_card(manifest, recipe).partition("\n## ")[0]
    assert head.startswith("# toy: English to French\n")
    assert "12.3 M parameters, int8. Licence of the bundle: CC0-1.0." in head
    assert manifest.architecture in head


def test_data_is_attributed(manifest: Manifest, recipe: Recipe) -> None:
    assert "| tales | 4321 | 0.25 | CC0 | Ann | a:b |" in section(
        model_card(manifest, recipe), "Training data"
    )


def test_translation_scores_carry_their_signatures(manifest: Manifest, recipe: Recipe) -> None:
    text = section(model_card(manifest, recipe), "Translation")
    assert "| talks | int8 | 4 | 41.27 | 63.91 | 777 |" in text
    assert "| talks | fp32 | 4 | 42.58 | 63.91 | 777 |" in text
    assert "signature-of-bleu" in text
    assert "signature-of-chrf" in text
    assert "hansards" not in text


def test_what_each_stage_brought_and_the_recipe_s_remark_stand_with_the_scores(
    manifest: Manifest, recipe: Recipe
) -> None:
    row = {"after": "refinement", "step": 1400, "pairs": 98765, "set": "talks", "sentences": 555}
    gain: dict[str, object] = {**row, "dev_bleu": 43.21, "dev_chrf": 60.12}
    plain = section(model_card(manifest, recipe), "Translation")
    assert "after" not in plain
    evaluation = replace(recipe.evaluation, remark="A model of twice the size has 50.")
    told = section(
        model_card(
            replace(manifest, metrics=(*manifest.metrics, gain)),
            replace(recipe, evaluation=evaluation),
        ),
        "Translation",
    )
    assert told.startswith(plain.rstrip())
    assert "\n\nA model of twice the size has 50.\n\n" in told
    assert "555 sentences spread\nevenly over talks" in told
    assert "| refinement | 1400 | 98765 | 43.21 | 60.12 |" in told


def test_alignment_errors_tell_tuning_and_shipped(manifest: Manifest, recipe: Recipe) -> None:
    text = section(model_card(manifest, recipe), "Word alignment")
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    shipped = "alignment | mutual-best ≥ 0.26 **shipped** | 9.87 | 91.2 | 88.5 |"
    assert rows == [
        f"| tales (tuning) | {shipped}",
        "| hansards | cross | best-source ≥ 0.26 | 23.45 | 91.2 | 88.5 |",
        f"| hansards | {shipped}",
    ], "the precision that is served, and no other"
    assert "chosen on the set marked *tuning*" in text


def test_lines_that_tuned_are_told_from_those_that_report(
    manifest: Manifest, recipe: Recipe
) -> None:
    apart = {**AER, "set": "tales", "tuning": "tales", "tuning_lines": 50, "sentences": 97}
    other = {**AER, "tuning": "tales", "tuning_lines": 50}
    told = section(
        model_card(replace(manifest, metrics=(BLEU, other, apart)), recipe), "Word alignment"
    )
    assert "first 50 lines of tales; of that set the table reports\nthe other 97." in told
    assert "*tuning*" not in told, "no set is marked"
    assert "Forced decoding" in told


def test_agreement_is_stated(manifest: Manifest, recipe: Recipe) -> None:
    text = section(model_card(manifest, recipe), "int8 against fp32, and against training")
    assert "| int8 | 96 | 2000 | 75.0% | 3.2e-03 | 7.7e-03 | 0.0e+00 | 0.125 |" in text


def test_limits_are_those_of_the_model_and_of_training(manifest: Manifest, recipe: Recipe) -> None:
    text = section(model_card(manifest, recipe), "Limits")
    limit = manifest.model.limits.source_tokens
    assert f"up to {limit} tokens; training saw at most 83" in text


def test_names_that_go_over_are_a_limit(manifest: Manifest, recipe: Recipe) -> None:
    assert "- Names that it has not learnt" not in model_card(manifest, recipe)
    told = replace(manifest, known_words="known.txt")
    assert "- Names that it has not learnt" in model_card(told, recipe)


def test_every_table_is_whole(manifest: Manifest, recipe: Recipe) -> None:
    lines = model_card(manifest, recipe).splitlines()
    tables = 0
    for number, line in enumerate(lines):
        if line.startswith("| ---"):
            tables += 1
            columns = line.count("|")
            assert lines[number - 1].count("|") == lines[number + 1].count("|") == columns
            assert not lines[number - 2], "a blank line, or it would not be a table"
    assert tables == 4


def test_the_real_manifest_has_all_that_the_card_asks_for(toy_run: Run, toy_bundle: Bundle) -> None:
    assert model_card(toy_bundle.manifest, toy_run.recipe) == (
        toy_bundle.folder / "MODEL_CARD.md"
    ).read_text(encoding="utf-8")


def test_what_refinement_learnt_from_is_attributed(manifest: Manifest, recipe: Recipe) -> None:
    text = {"corpus": "lays", "texts": 77, "side": "target"}
    origin = {"licence": "CC0", "attribution": "Bo", "url": "c:d"}
    more = replace(manifest, data=(*manifest.data, {**text, **origin}))
    told = section(model_card(more, recipe), "Training data")
    assert "| lays | 77 | target | CC0 | Bo | c:d |" in told
    assert "| tales | 4321 | 0.25 | CC0 | Ann | a:b |" in told


def test_a_bundle_without_gold_says_so(manifest: Manifest, recipe: Recipe) -> None:
    metrics = tuple(metric for metric in manifest.metrics if "bleu" in metric)
    told = section(model_card(replace(manifest, metrics=metrics), recipe), "Word alignment")
    assert told.strip().startswith("Not measured")
    assert "|" not in told


def test_a_network_without_attention_has_a_card_without_links(
    manifest: Manifest, recipe: Recipe
) -> None:
    sizes = replace(
        recipe.model, attention=replace(recipe.model.attention, kind="none"), alignment_head=0
    )
    told = model_card(
        replace(
            manifest,
            model=replace(manifest.model, attention=()),
            link_rule=LinkRule("none", "none", 0.0),
            metrics=(BLEU,),
            verification={"int8": {**FACTS, "attention": {}}},
        ),
        replace(recipe, model=sizes),
    )
    assert "| int8 | 96 | 2000 | 75.0% | 3.2e-03 | – | 0.0e+00 | 0.125 |" in told
    assert section(told, "Word alignment").strip().startswith("The network has no attention")
    for untrue in ("eflomal", "which word became which", "trained head", "Alignment links"):
        assert untrue not in told, untrue


def test_links_come_from_where_the_rule_reads_them(manifest: Manifest, recipe: Recipe) -> None:
    assert "- Alignment links come from a trained head, right about as often as the table" in (
        section(model_card(manifest, recipe), "Limits")
    )
    cross = replace(manifest, link_rule=LinkRule("cross", "best-source", 0.3))
    assert "links are read off the decoder's attention, which" in model_card(cross, recipe)
    unmeasured = replace(manifest, metrics=(BLEU,))
    assert "a trained head; how often they are right was not measured." in model_card(
        unmeasured, recipe
    )


def test_the_aligner_is_named_where_its_links_taught(manifest: Manifest, recipe: Recipe) -> None:
    def named(head: int, weights: tuple[float, float], sharpened: int) -> bool:
        made = replace(
            recipe,
            model=replace(recipe.model, alignment_head=head),
            training=replace(
                recipe.training, cross_attention_weight=weights[0], alignment_weight=weights[1]
            ),
            sharpening=replace(recipe.sharpening, steps=sharpened),
        )
        return "eflomal" in model_card(manifest, made)

    assert named(8, (0.0, 0.3), 0)
    assert named(8, (0.0, 0.0), 9)
    assert named(0, (0.1, 0.3), 0)
    assert not named(0, (0.0, 0.3), 9)
