"""Small ordinals are read in words where they stand before one."""

import pytest

from service.ordinals import find

READ = [
    ("en", "I live on the 2nd floor.", "I live on the second floor."),
    ("en", "1st class, 3rd row and the 9th Avenue", "First class, third row and the ninth Avenue"),
    ("en-GB", "my 5th child", "my fifth child"),
    ("fr", "J'habite au 2e étage.", "J'habite au deuxième étage."),
    ("fr", "1er prix", "Premier prix"),
    ("fr", "la 1re fois, la 1ère fois", "la première fois, la première fois"),
    ("fr", "le 2nd tour, la 2nde fois", "le second tour, la seconde fois"),
    ("fr", "la 3ème ou 4è fois", "la troisième ou quatrième fois"),
    ("zh", "这是我第3次来。", "这是我第三次来。"),
    ("zh-Hant", "我住在2楼。", "我住在二楼。"),
]  # fmt: skip

LEFT = [
    ("en", "May 3rd was, on 3rd May, the 3rd of May, the 3rd May, Monday, 3rd we"),
    ("en", "on the 3rd. In 1st, the 3rd of them, 12th floor, 21st century, A2nd floor"),
    ("fr", "le 1er mai, le 2e. 20e siècle, le 1e, 2er fois"),
    ("zh", "第3页，第12次，12楼，第3.5次，第三次"),
    ("de", "am 2nd Tag"),
    ("en", ""),
]


@pytest.mark.parametrize(("language", "text", "read"), READ)
def test_ordinals_are_read_in_words(language: str, text: str, read: str) -> None:
    for start, end, word in reversed(list(find(text, language))):
        text = text[:start] + word + text[end:]
    assert text == read


@pytest.mark.parametrize(("language", "text"), LEFT)
def test_days_pages_and_larger_ones_are_not(language: str, text: str) -> None:
    assert not list(find(text, language))
