"""Words of a dictionary come into sentences that a person wrote."""

import dataclasses
import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from model_export.config import Bundle, Language, Source
from model_export.lexicon import learn_words
from model_export.run import Run

CHINESE = Language("zh", "Chinese", "", "jieba")
ENGLISH = Language("en", "English", " ", "uax29")
ORIGIN = Source(1.0, "CC0", "nobody", "about:blank")

TRAINING = """\
他是市长。	He is a mayor.	texts
市长来了。	The mayor came.	texts
书在这里。	The book is here.	texts
市长	mayor	words
绝望	despair	words
急救箱	first-aid kit	words
禁止	to forbid	more
书	book	more
雪橇	sledge	more
"""

SENTENCES = """\
He was in despair, I think.
Despair!
They forbade it.
It is forbidden to smoke.
She forgot to bring first-aid kits.
He knows the mayor.
Two books {0}
Books!
"""

Learn = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def learn(toy_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Learn:
    """Learn words with a bundle that writes the sentence around a place as it is, in <>."""
    for name, text in (("train", TRAINING), ("back", SENTENCES)):
        with gzip.open(tmp_path / f"{name}.tsv.gz", "wt", encoding="utf-8") as out:
            out.write(text if name == "train" else text.replace("\n", "\t-\ttoy\n"))
    monkeypatch.setattr("model_export.lexicon.learnable", lambda _, pairs: list(pairs))
    recipe = dataclasses.replace(
        toy_run.recipe,
        bundle=Bundle("zh-en", "CC0", CHINESE, ENGLISH),
        corpus=dataclasses.replace(
            toy_run.recipe.corpus,
            files=("train.tsv.gz",),
            max_ratio=9.0,
            sources=dict.fromkeys(("texts", "words", "more"), ORIGIN),
            dev="back.tsv.gz",
        ),
        evaluation=dataclasses.replace(toy_run.recipe.evaluation, translation=()),
    )

    def learned(
        lexica: Mapping[str, int],
        seldom: int = 1,
        say: Callable[[str], list[str]] = lambda text: [f"<{text}>"],
        language: Language = CHINESE,
    ) -> list[tuple[str, str]]:
        def translated(
            run: Run, reverse: Path, texts: Sequence[str], count: int, report: object
        ) -> Iterator[tuple[str, list[str]]]:
            assert (run.data, reverse.name, count, report) == (tmp_path, "en-zh", 1, print)
            return ((text, say(text)) for text in texts)

        monkeypatch.setattr("model_export.lexicon.translated", translated)
        options = dataclasses.replace(
            recipe.refinement,
            back_files=("back.tsv.gz",),
            back_corpora=("toy",),
            lexica=lexica,
            seldom=seldom,
        )
        bundle = dataclasses.replace(recipe.bundle, source=language)
        run = Run(
            dataclasses.replace(recipe, refinement=options, bundle=bundle), tmp_path, tmp_path
        )
        made = learn_words(run, Path("en-zh"), print)
        return [(str(source), str(target)) for source, target in made]

    monkeypatch.setattr("model_export.extra_texts._known", lambda run: iter(()))
    return learned


def test_a_word_of_a_lexicon_gets_sentences_that_have_its_translation(learn: Learn) -> None:
    made = learn({"words": 1})
    assert len(made) == 2
    assert made[0] in [("<绝望!>", "Despair!"), ("<He was in绝望, I think.>", SENTENCES[:27])]
    assert made[1] == ("<She forgot to bring急救箱.>", "She forgot to bring first-aid kits.")


def test_as_many_sentences_as_are_wanted_and_there(learn: Learn) -> None:
    made = learn({"words": 2})
    assert len(made) == 3
    assert {text for word, text in made if "绝望" in word} == {
        "Despair!",
        "He was in despair, I think.",
    }


def test_a_verb_is_found_in_its_forms(learn: Learn) -> None:
    assert sorted(learn({"more": 9})) == [
        ("<It is禁止to smoke.>", "It is forbidden to smoke."),
        ("<They禁止it.>", "They forbade it."),
    ]


def test_what_texts_have_often_enough_is_left_to_them(learn: Learn) -> None:
    for seldom, known in ((1, set()), (2, {"书"}), (3, {"书", "市长"})):
        words = "".join(source for source, _ in learn({"words": 9, "more": 9}, seldom))
        assert {word for word in ("书", "市长") if word in words} == known


def test_languages_with_spaces_keep_them(learn: Learn) -> None:
    spaced = dataclasses.replace(CHINESE, joiner=" ")
    assert ("<They 禁止 it.>", "They forbade it.") in learn({"more": 9}, language=spaced)


@pytest.mark.parametrize(
    "found", [[], ["<without>"], ["<{0} and {0}>"], ["{0", "0}"]], ids=lambda found: str(len(found))
)
def test_what_lost_its_place_is_dropped(learn: Learn, found: list[str]) -> None:
    assert learn({"words": 9}, say=lambda _: found) == []
