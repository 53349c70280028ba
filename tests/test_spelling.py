"""What is kept, as a target writes it: Chinese names, measures, and nothing else."""

from service import dates, numerals
from service.keeping import restore, swap, swap_pair
from service.segmentation import Span
from service.spelling import finders, speller


def test_chinese_names_are_written_in_the_script_of_the_target() -> None:
    spell = speller("zh-Hant", "en")
    swapped = swap("张伟用`ls`。", [Span(0, 2), Span(3, 7)], spell=spell)
    carried = {one.stand_in: one.written for one in swapped.kept}
    assert list(carried.values()) == ["Zhang Wei", "`ls`"]
    assert restore(swapped.text, carried).whole == "Zhang Wei用`ls`。"
    assert speller("zh", "zh-Hant")("张伟") == "张伟"
    assert speller("en", "zh")("Priya") == "Priya"


def test_a_pair_has_a_name_in_both_scripts() -> None:
    spans = [Span(0, 2)]
    near, far = swap_pair("张伟来了", "Zhang Wei came", spans, spell=speller("zh", "en"))
    assert (near.text, far.text) == ("\x01来了", "\x01 came")


def test_measures_are_written_as_the_target_does() -> None:
    assert speller("en", "fr")("1.8 m") == "1,8 m"
    assert speller("zh", "fr")("1.8 m") == "1,8 m"
    assert speller("zh", "fr")("张伟") == "Zhang Wei"
    assert speller("zh", "en")("1.8 m") == "1.8 m"


def test_amounts_are_written_as_the_target_does() -> None:
    assert speller("en", "fr")("$3.50") == "3,50\u00a0$"
    assert speller("fr", "en")("3,50 €") == "€3.50"


def test_dates_are_kept_where_they_can_be_written() -> None:
    assert speller("en", "zh")("May 12, 1990") == "1990年5月12日"
    assert speller("zh", "en")("5月12日") == "May 12"
    assert speller("en", "fr")("May 12, 1990") == "May 12, 1990"
    assert finders("en", "zh", numbers=False) == (dates.find,)
    assert finders("en", "zh", numbers=True) == (dates.find, numerals.find)
    assert finders("en", "fr", numbers=False) == ()
