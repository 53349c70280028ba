"""The model card of a bundle, written from its manifest so that no figure stands twice."""

from collections.abc import Mapping, Sequence
from typing import Any

from model_export.config import Recipe
from service.manifest import Manifest

USE = """\
Everyday sentences, where a reader or a program wants to see which word became which. It is a
small model: check what matters."""
USE_WITHOUT_LINKS = "Everyday sentences. It is a small model: check what matters."
SHARE = "*Share* is how much of a corpus each epoch drew afresh."
GUIDED = """\
Guided-alignment links were made with
eflomal on all of these pairs; the aligner is not part of the bundle."""
TEXTS = """\
Refinement learnt from texts of one language too, as that side of a pair whose other side a model
wrote:"""
TUNED = "Thresholds were chosen on the set marked *tuning*; the other sets only report."
TUNED_APART = """\
Thresholds were chosen on the first {tuning_lines} lines of {tuning}; of that set the table reports
the other {sentences}."""
FORCED = "Forced decoding of the gold's own words; AER, precision and recall in percent."
GAINS = """\
What each stage brought, by the dev scores that chose its weights: {sentences} sentences spread
evenly over {set}, greedy, in float32, by the network in training."""
UNMEASURED = "Not measured, for want of gold alignments; the link rule is a usual one."
UNLINKED = "The network has no attention, so its translations have no links."
LIMITS = """\
- A sentence may have up to {limit} tokens; training saw at most {seen}.
- Rare words and specialist language are its weak spot; a word it does not know may be spelled,
  dropped or replaced.
- It carries the habits of its data: everyday, often informal sentences, and their biases,
  such as genders guessed from occupations."""
NAMES = """\
- Names that it has not learnt go over as they are, also where usage has another form of them."""
LINKS = {
    "alignment": "\n- Alignment links come from a trained head",
    "cross": "\n- Alignment links are read off the decoder's attention, which serves to translate",
}
"""Where links come from, by the attention of the link rule."""
COUNTED = ", right about as often as the table says."
UNCOUNTED = "; how often they are right was not measured."


def model_card(manifest: Manifest, recipe: Recipe) -> str:
    """Return `MODEL_CARD.md` of a bundle made by a recipe."""
    seen = recipe.corpus.max_tokens
    limits = LIMITS.format(limit=manifest.model.limits.source_tokens, seen=seen)
    guided = f" {GUIDED}" if _guided(recipe) else ""
    sections = {
        "Intended use": USE if manifest.model.attention else USE_WITHOUT_LINKS,
        "Training data": f"{_data(manifest)}\n\n{SHARE}{guided}",
        "Translation": _translation(manifest, recipe.evaluation.remark),
        "Word alignment": _alignment(manifest),
        "int8 against fp32, and against training": _verification(manifest),
        "Limits": limits + (f"\n{NAMES}" if manifest.known_words else "") + _trust(manifest),
    }
    head = (
        f"# {manifest.name}: {manifest.source.name} to {manifest.target.name}\n\n"
        f"{manifest.architecture}; {manifest.parameters / 1e6:.1f} M parameters, "
        f"{manifest.model.precision}. Licence of the bundle: {manifest.licence}.\n\n"
    )
    return head + "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items()) + "\n"


def _guided(recipe: Recipe) -> bool:
    """Tell whether the aligner's links taught an attention."""
    model, training = recipe.model, recipe.training
    cross = model.attention.kind != "none" and training.cross_attention_weight
    head = model.alignment_head and (training.alignment_weight or recipe.sharpening.steps)
    return bool(cross or head)


def _trust(manifest: Manifest) -> str:
    """Say where links come from, and how far to trust them; empty where there are none."""
    attention = manifest.link_rule.attention
    if attention not in LINKS:
        return ""
    measured = any("rule" in metric for metric in manifest.metrics)
    return LINKS[attention] + (COUNTED if measured else UNCOUNTED)


def _data(manifest: Manifest) -> str:
    keys = ("licence", "attribution", "url")
    pairs = _columns(manifest.data, "corpus", "pairs", "share", *keys)
    table = _table(["corpus", "pairs", "share", "licence", "attribution", "source"], pairs)
    texts = _columns(manifest.data, "corpus", "texts", "side", *keys)
    if not texts:
        return table
    header = ["corpus", "texts", "side", "licence", "attribution", "source"]
    return f"{table}\n\n{TEXTS}\n\n{_table(header, texts)}"


def _translation(manifest: Manifest, remark: str) -> str:
    found = [metric for metric in manifest.metrics if "bleu" in metric]
    rows = _columns(found, "set", "precision", "beam_size", "bleu", "chrf", "sentences")
    signatures = found[0]
    table = _table(["set", "precision", "beam", "BLEU", "chrF", "sentences"], rows)
    signed = f"sacreBLEU `{signatures['bleu_signature']}`, chrF `{signatures['chrf_signature']}`."
    parts = (table, signed, remark, _gains(manifest))
    return "\n\n".join(part for part in parts if part)


def _gains(manifest: Manifest) -> str:
    """What each stage of training brought; empty if it was not measured."""
    found = [metric for metric in manifest.metrics if "after" in metric]
    if not found:
        return ""
    rows = _columns(found, "after", "step", "pairs", "dev_bleu", "dev_chrf")
    table = _table(["after", "step", "pairs", "BLEU", "chrF"], rows)
    return f"{GAINS.format_map(found[0])}\n\n{table}"


def _alignment(manifest: Manifest) -> str:
    if not manifest.model.attention:
        return UNLINKED
    found = [
        metric
        for metric in manifest.metrics
        if "rule" in metric and metric["precision"] == manifest.model.precision
    ]
    rows = [
        [
            f"{metric['set']}{' (tuning)' if metric['tuned_here'] else ''}",
            str(metric["attention"]),
            _rule(metric),
            str(metric["aer"]),
            str(metric["alignment_precision"]),
            str(metric["alignment_recall"]),
        ]
        for metric in found
    ]
    if not rows:
        return UNMEASURED
    table = _table(["set", "attention", "rule", "AER", "precision", "recall"], rows)
    return f"{table}{_both_ways(manifest)}\n\n{_tuning(found)} {FORCED}"


def _tuning(found: Sequence[Mapping[str, Any]]) -> str:
    """Say on what the thresholds were chosen: on a set of the table, or on lines before it."""
    apart = [m for m in found if m["set"] == m.get("tuning") and not m["tuned_here"]]
    return TUNED_APART.format_map(apart[0]) if apart else TUNED


def _both_ways(manifest: Manifest) -> str:
    """The links of this bundle and of one of the other direction, merged; empty without one."""
    merged = [metric for metric in manifest.metrics if "symmetrized" in metric]
    if not merged:
        return ""
    rows = _columns(merged, "set", "symmetrized", "aer", "alignment_precision", "alignment_recall")
    table = _table(["set", "symmetrized", "AER", "precision", "recall"], rows)
    return f"\n\nMerged with the links of {merged[0]['reverse']}:\n\n{table}"


def _rule(metric: Mapping[str, Any]) -> str:
    text = f"{metric['rule']} ≥ {metric['threshold']}"
    return f"{text} **shipped**" if metric["shipped"] else text


def _verification(manifest: Manifest) -> str:
    rows = [
        [
            name,
            str(facts["sentences"]),
            str(facts["tokens"]),
            f"{facts['close_tokens'] / max(1, facts['tokens']):.1%}",
            f"{facts['log_probability']:.1e}",
            f"{max(facts['attention'].values()):.1e}" if facts["attention"] else "–",
            f"{facts['crowd']:.1e}",
            str(facts["tolerance"]),
        ]
        for name, facts in manifest.verification.items()
    ]
    header = [
        "graph",
        "sentences",
        "tokens",
        "within 1e-4",
        "log-probability",
        "attention",
        "crowd",
        "tolerance",
    ]
    return (
        "Largest differences between training's network (for int8: its simulation with the same "
        "scales) and the service, and between a sentence alone and in a crowd:\n\n"
        + _table(header, rows)
    )


def _columns(rows: Sequence[Mapping[str, Any]], *keys: str) -> list[list[str]]:
    """Return these columns of the rows that have them all."""
    return [[str(row[key]) for key in keys] for row in rows if row.keys() >= set(keys)]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
