"""BLEU and chrF of translations, by sacreBLEU (Post 2018), as the target language asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

import sacrebleu

from service.scripts import is_chinese


@dataclass(frozen=True, slots=True)
class Scores:
    """BLEU and chrF in percent, with their signatures."""

    bleu: float
    bleu_signature: str
    chrf: float
    chrf_signature: str


def score(texts: Sequence[str], references: Sequence[str], language: str) -> Scores:
    """Score translations into a language, one reference each; Chinese goes by characters."""
    bleu = sacrebleu.BLEU(tokenize="zh" if is_chinese(language) else "13a")
    chrf = sacrebleu.CHRF()
    found = [metric.corpus_score(texts, [list(references)]).score for metric in (bleu, chrf)]
    return Scores(found[0], str(bleu.get_signature()), found[1], str(chrf.get_signature()))
