"""Chinese names: where they are, and how Latin script writes them."""

import pytest

from service.romanisation import names, spelled


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
        ("曾国藩", "Zeng Guofan"),
        ("https://例.cn", "https://例.cn"),
        ("", ""),
    ],
)
def test_names_are_spelled_in_pinyin(name: str, latin: str) -> None:
    assert spelled(name) == latin
