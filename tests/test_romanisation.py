"""Chinese names: where they are, and how Latin script writes them."""

import pytest

from service.romanisation import names, spelled, titled
from service.segmentation import Span


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("张伟在微软工作。", ["张伟"]),
        ("王先生昨天来了。", ["王"]),
        ("高医生和李太太", ["高", "李"]),
        ("我姓李，叫李雷。", ["李", "李雷"]),
        ("小明的妈妈", ["小明"]),
        ("张伟来了，我和李华是朋友。", ["张伟", "李华"]),
        ("我是欧阳修。", ["欧阳修"]),
        ("汤姆和玛丽住在波士顿。", ["汤姆"]),  # looks like one: a bundle knows better
        ("你是谁？ Who is 李? 😀", []),
        ("很高兴，方便的时候来。", []),
        ("", []),
        ("Zhang Wei", []),
    ],
)
def test_names_are_found_without_their_titles(text: str, found: list[str]) -> None:
    assert [span.of(text) for span in names(text)] == found


@pytest.mark.parametrize(
    ("name", "latin"),
    [
        ("张伟", "Zhang Wei"),
        ("張偉", "Zhang Wei"),
        ("王", "Wang"),
        ("欧阳修", "Ouyang Xiu"),
        ("诸葛", "Zhu Ge"),
        ("小明", "Xiaoming"),
        ("小王", "Xiao Wang"),
        ("陈西安", "Chen Xi'an"),
        ("吕布", "Lü Bu"),
        ("王先生", "Mr. Wang"),
        ("張偉老師", "Teacher Zhang Wei"),
        ("先生", "Xian Sheng"),
        ("曾国藩", "Zeng Guofan"),
        ("https://例.cn", "https://例.cn"),
        ("", ""),
    ],
)
def test_names_are_spelled_in_pinyin(name: str, latin: str) -> None:
    assert spelled(name) == latin


@pytest.mark.parametrize(
    ("text", "name", "whole"),
    [
        ("我找王先生。", "王", "王先生"),
        ("张伟老师来了", "张伟", "张伟老师"),
        ("李教授", "李", "李教授"),
        ("张伟教授来了", "张伟", "张伟教授"),
        ("我是张伟教授", "张伟", "张伟教授"),
        ("张伟教授数学。", "张伟", "张伟"),  # he teaches it
        ("王师傅", "王", "王"),  # no such title in English
        ("我姓王", "王", "王"),
    ],
)
def test_titles_go_with_their_names(text: str, name: str, whole: str) -> None:
    at = text.index(name)
    assert titled(text, Span(at, at + len(name))).of(text) == whole
