import pytest
import sacrebleu

from model_export.scores import score


def test_scores_are_sacrebleus() -> None:
    texts, references = ["The cat sat.", "A dog."], ["The cat sat down.", "A dog ran."]
    found = score(texts, references, "en")
    assert found.bleu == sacrebleu.corpus_bleu(texts, [references]).score
    assert found.chrf == sacrebleu.corpus_chrf(texts, [references]).score
    assert "tok:13a" in found.bleu_signature
    assert "nc:6" in found.chrf_signature


@pytest.mark.parametrize("language", ["zh", "zh-Hant"])
def test_chinese_is_scored_by_characters(language: str) -> None:
    texts, references = ["我喜欢他的房子。"], ["我喜欢他的屋子。"]
    found = score(texts, references, language)
    assert found.bleu > score(texts, references, "en").bleu
    assert "tok:zh" in found.bleu_signature
