"""Translation and alignment scores of an exported folder, by the code that will serve it.

BLEU and chrF are sacreBLEU's, with their signatures (Post 2018). Alignment is force-decoded
against gold; thresholds are chosen on the tuning set alone, the other sets only report.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Literal, get_args

import numpy as np

from model_export import alarms, corpus, draft, gold, scores
from model_export.gold import AlignmentScore, Gold
from model_export.run import Run
from model_export.wait import patient, wait
from service import alignment
from service.bundle import Bundle
from service.directions import align_both_ways
from service.engine import Capacity
from service.manifest import Bounds, LinkRule, Manifest
from service.options import Options, Pair
from service.symmetrization import Method
from service.translator import Translator

CAPACITY = Capacity(workers=2, slots=64, batch_tokens=2048, queue=1_000_000)
THRESHOLDS = tuple(round(0.02 * step, 2) for step in range(1, 46))
Metric = dict[str, object]
Report = Callable[[Metric], None]


@dataclass(frozen=True, slots=True)
class Attended:
    """A gold pair with its attentions over words, each (target + 1, source + 1)."""

    gold: Gold
    words: Mapping[str, alignment.Floats]


def translation_scores(
    translator: Translator, sources: Sequence[str], references: Sequence[str], options: Options
) -> Metric:
    """Translate `sources` as served and return BLEU and chrF with their signatures."""
    made = wait(translator.translate(sources, options))
    texts = [translation.text for translation in made]
    found = scores.score(texts, references, translator.manifest.target.code)
    return {
        "bleu": round(found.bleu, 2),
        "bleu_signature": found.bleu_signature,
        "chrf": round(found.chrf, 2),
        "chrf_signature": found.chrf_signature,
        "beam_size": options.beam_size,
        "sentences": len(texts),
    }


def attend(translator: Translator, rows: Sequence[Gold]) -> list[Attended]:
    """Force-decode gold pairs and return every attention folded to the gold's words."""
    pairs = [Pair(row.source, row.target) for row in rows]
    kinds = [attention.kind for attention in translator.manifest.model.attention]
    found: list[dict[str, alignment.Floats]] = [{} for _ in rows]
    for kind in kinds:
        options = Options(attention=_kind(kind), unit="word", deadline=patient())
        for row, made in enumerate(wait(translator.align(pairs, options))):
            assert made.attention is not None
            found[row][kind] = made.attention
    return [Attended(row, words) for row, words in zip(rows, found, strict=True)]


def alignment_score(rows: Sequence[Attended], rule: LinkRule) -> AlignmentScore:
    """Score the links that a rule reads off."""
    return gold.score((_pairs(row, rule), row.gold) for row in rows)


def tune(rows: Sequence[Attended], attention: str, rules: Sequence[str]) -> LinkRule:
    """Return the rule and threshold with the lowest AER on `rows`."""
    candidates = [LinkRule(attention, rule, t) for rule in rules for t in THRESHOLDS]
    return min(candidates, key=lambda rule: alignment_score(rows, rule).aer)


def evaluate(run: Run, report: Report) -> tuple[LinkRule, list[Metric]]:
    """Measure both precisions; return the link rule chosen and every metric.

    The rule is chosen with int8, which is what is served; fp32 is measured by the same.
    """
    metrics: list[Metric] = []

    def note(metric: Metric) -> None:
        metrics.append(metric)
        report(metric)

    shipped: LinkRule | None = None
    for precision, beams in (("int8", (1, 4)), ("fp32", (1,))):
        translator = Translator(draft.open_draft(run, precision), CAPACITY)
        for name in run.recipe.evaluation.translation:
            pairs = run.pairs([name])
            for beam in beams:
                scores = _translate(translator, pairs, beam)
                note({"set": run.set_name(name), "precision": precision, **scores})
        if translator.manifest.model.attention and run.recipe.evaluation.alignment:
            shipped = _evaluate_alignment(run, translator, precision, shipped, note)
        rule = shipped or translator.manifest.link_rule
        translator.close(0.0)
    return rule, metrics


def _translate(translator: Translator, pairs: Sequence[corpus.Pair], beam: int) -> Metric:
    sources, references = [p.source for p in pairs], [p.target for p in pairs]
    options = Options(attention="none", beam_size=beam, deadline=patient())
    return translation_scores(translator, sources, references, options)


def _evaluate_alignment(
    run: Run, translator: Translator, precision: str, known: LinkRule | None, note: Report
) -> LinkRule:
    """Report AER of every attention on every set, directed and by the shipped rule.

    The rule to ship is `known`, or else the best on the tuning set.
    """
    tuning_gold, gold_sets = _gold(run)
    options = run.recipe.evaluation
    sets = {name: attend(translator, rows) for name, rows in gold_sets.items()}
    same = [name for name, rows in gold_sets.items() if rows is tuning_gold]
    tuning = sets[same[0]] if same else attend(translator, tuning_gold)
    kinds = list(tuning[0].words)
    shipped = known or tune(tuning, kinds[-1], options.rules)
    directed = [tune(tuning, kind, ("best-source",)) for kind in kinds]
    others = [LinkRule(kind, shipped.rule, shipped.threshold) for kind in kinds[:-1]]
    for name, rows in sets.items():
        for rule in (*directed, *others, shipped):
            scored = alignment_score(rows, rule)
            note(
                {
                    "set": run.set_name(name),
                    "precision": precision,
                    **asdict(rule),
                    "shipped": rule is shipped,
                    "tuned_here": rows is tuning,
                    "tuning": run.set_name(options.tuning),
                    "tuning_lines": len(tuning),
                    **_figures(scored),
                    "sentences": len(rows),
                }
            )
    return shipped


def _gold(run: Run) -> tuple[list[Gold], dict[str, list[Gold]]]:
    """Return what tunes the link rule, and what measures it by the name of the set.

    A set that tunes as a whole is measured too.
    """
    options = run.recipe.evaluation
    if not options.alignment:
        return [], {}
    sets = {name: run.gold(name) for name in options.alignment}
    whole = sets[options.tuning]
    count = options.tuning_lines or len(whole)
    tuning, rest = whole[:count], whole[count:]
    return tuning, {**sets, options.tuning: rest or tuning}


def warn_from(run: Run, rule: LinkRule) -> Bounds:
    """Return the evidence that one clean pair in twenty reaches, by half of the dev set.

    Where no attention could tell, 0.
    """
    translator = Translator(draft.open_draft(run, "int8", rule), CAPACITY)
    if not translator.manifest.model.attention:
        return draft.UNTUNED
    tuning, _ = alarms.halves(run.dev_pairs())
    found = alarms.thresholds(translator, alarms.sample(tuning, alarms.PAIRS, alarms.SEED))
    translator.close(0.0)
    return Bounds(round(found.omission, 3), round(found.hallucination, 3))


def evaluate_both_ways(run: Run, rule: LinkRule, reverse: Bundle, report: Report) -> list[Metric]:
    """Measure the links of this bundle and of one of the other direction, merged in every way.

    Where one of them has none, there is nothing to measure.
    """
    if rule.attention == "none" or not reverse.manifest.model.attention:
        return []
    forward = Translator(draft.open_draft(run, "int8", rule), CAPACITY)
    backward = Translator(reverse, CAPACITY)
    metrics: list[Metric] = []
    for name, rows in _gold(run)[1].items():
        pairs = [Pair(row.source, row.target) for row in rows]
        for method in get_args(Method):
            options = Options(deadline=patient())
            made = wait(align_both_ways(forward, backward, pairs, options, method))
            found = [{(link.source, link.target) for link in one.alignment} for one in made]
            metric = {
                "set": run.set_name(name),
                "precision": "int8",
                "symmetrized": method,
                "reverse": _named(reverse.manifest),
                **_figures(gold.score(zip(found, rows, strict=True))),
                "sentences": len(rows),
            }
            metrics.append(metric)
            report(metric)
    forward.close(0.0)
    backward.close(0.0)
    return metrics


def _named(manifest: Manifest) -> str:
    """Return a bundle's name and a digest of what makes its links: graphs and tokenizers.

    Its version is of its card too, which names this very bundle. The digest begins like that of
    `sha256sum *.onnx *.model | sort | sha256sum` in its folder.
    """
    wanted = {graph.file for graph in manifest.model.graphs}
    wanted |= {manifest.source.tokenizer, manifest.target.tokenizer}
    sums = sorted(f"{file.sha256}  {file.path}\n" for file in manifest.files if file.path in wanted)
    return (
        f"{manifest.name}, graphs and tokenizers {sha256(''.join(sums).encode()).hexdigest()[:8]}"
    )


def _figures(scored: AlignmentScore) -> Metric:
    return {
        "aer": round(scored.aer, 2),
        "alignment_precision": round(scored.precision, 2),
        "alignment_recall": round(scored.recall, 2),
    }


def _pairs(row: Attended, rule: LinkRule) -> set[tuple[int, int]]:
    found = alignment.links(np.asarray(row.words[rule.attention]), rule.rule, rule.threshold)
    return {(link.source, link.target) for link in found}


def _kind(kind: str) -> Literal["cross", "alignment"]:
    return "alignment" if kind == "alignment" else "cross"
