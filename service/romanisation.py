"""Chinese names of persons: where a text has them, and how Latin script writes them (Hanyu Pinyin).

    张伟          Zhang Wei         欧阳修        Ouyang Xiu
    王先生        Mr. Wang          小明          Xiaoming
    小王          Xiao Wang         陈西安        Chen Xi'an

The dictionary that cuts Chinese into words also tells names; only those count that begin with a
common surname, or with one of the syllables that nicknames begin with. ISO 7098:2015 for spelling,
without tones; surnames have readings of their own.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import regex

from service import scripts
from service.segmentation import Span

SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
    "姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
    "温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴"
    "霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑"
)
"""Three hundred or so that nearly all Chinese have, in simplified characters."""

COMPOUND = ("欧阳", "司马", "上官", "诸葛", "司徒", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐")
"""Surnames of two characters."""

NICK = frozenset("小老阿")
"""What stands before a surname, or before one syllable of a given name, among friends."""

ENGLISH: Mapping[str, str] = {
    "先生": "Mr.",
    "女士": "Ms.",
    "小姐": "Miss",
    "太太": "Mrs.",
    "夫人": "Mrs.",
    "老师": "Teacher",
    "教授": "Professor",
    "医生": "Dr.",
    "大夫": "Dr.",
    "博士": "Dr.",
    "护士": "Nurse",
    "经理": "Manager",
    "总统": "President",
    "主席": "Chairman",
    "总理": "Premier",
    "部长": "Minister",
    "校长": "Principal",
    "主任": "Director",
    "同志": "Comrade",
    "警官": "Officer",
    "队长": "Captain",
    "阿姨": "Aunt",
    "叔叔": "Uncle",
    "奶奶": "Grandma",
    "爷爷": "Grandpa",
}
"""Titles that follow a name, and what stands before it in English."""

ACTIVE = frozenset({"教授"})
"""Titles that are verbs too, after a whole name: 张伟教授数学 is Zhang Wei teaches maths."""

TITLES = (*ENGLISH, "律师", "师傅", "同学", "老板", "大哥", "大姐", "家")
"""What follows a surname that stands alone."""

_NEXT = frozenset("来去说是在有的了和也都不很住给对到把被要会想看就叫能问吃又还让")
"""What no given name of two characters ends in, but what follows a name does."""

_READINGS: Mapping[str, str] = {
    "曾": "zeng",
    "单": "shan",
    "解": "xie",
    "任": "ren",
    "缪": "miao",
    "翟": "zhai",
    "尉迟": "yuchi",
}
"""Readings of surnames that are not those of the characters elsewhere."""

_HAN = regex.compile(r"\p{Han}++")


def names(text: str) -> list[Span]:
    """Return where a text in simplified Chinese has names of persons, without titles, in order."""
    if _HAN.search(text, concurrent=False) is None:
        return []
    import rjieba  # loads a dictionary, which only servers of Chinese need

    found: list[Span] = []
    at = 0
    tagged = [*rjieba.tag(text), ("", "")]
    for (word, tag), (following, _) in pairwise(tagged):
        found += (Span(at + one.start, at + one.end) for one in _within(word, tag, following))
        at += len(word)
    return found


def titled(text: str, name: Span) -> Span:
    """Return where a name stands in a text together with the title behind it, if English has it."""
    for title in ENGLISH:
        end = name.end + len(title)
        if text.startswith(title, name.end) and not (title in ACTIVE and _does(text, name, end)):
            return Span(name.start, end)
    return name


def _does(text: str, name: Span, end: int) -> bool:
    """Whether what follows a whole name, up to `end`, is what the person does: it has an object."""
    following = text[end : end + 1]
    return len(name) > 1 and following not in _NEXT and _HAN.match(following) is not None


def _within(word: str, tag: str, following: str) -> Iterator[Span]:
    """Yield the name in a word of the dictionary, or of its model of unseen ones, if it is one."""
    if len(word) == 1 and word in SURNAMES and following in TITLES:
        yield Span(0, 1)
    elif len(word) == 2 and word[0] == "姓" and word[1] in SURNAMES:
        yield Span(1, 2)
    elif tag == "nr":
        title = next((one for one in TITLES if word.endswith(one)), "")
        end = len(word) - len(title)
        if end == 3 and word[2] in _NEXT:
            end = 2
        if _is_name(word[:end]) or (title and word[:end] in SURNAMES):
            yield Span(0, end)


def _is_name(word: str) -> bool:
    if word.startswith(COMPOUND):
        return 3 <= len(word) <= 4
    if word[:1] in NICK:
        return len(word) == 2
    return 2 <= len(word) <= 3 and word[0] in SURNAMES


def spelled(name: str) -> str:
    """Return a Chinese name in Latin script: Zhang Wei. What is not all Chinese stays as it is.

    A title behind it is an English one before it: Mr. Zhang.
    """
    if _HAN.fullmatch(name, concurrent=False) is None:
        return name
    plain = scripts.read(name, "zh")
    for title, english in ENGLISH.items():
        if len(plain) > len(title) and plain.endswith(title):
            return f"{english} {spelled(plain.removesuffix(title))}"
    if plain[0] in NICK and len(plain) == 2 and plain[1] not in SURNAMES:
        return _joined(plain).capitalize()
    size = 2 if plain.startswith(COMPOUND) and len(plain) > 2 else 1
    family, given = plain[:size], plain[size:]
    return f"{_joined(family).capitalize()} {_joined(given).capitalize()}".rstrip()


def _joined(characters: str) -> str:
    """Return the syllables of characters as one word, an apostrophe where one could be misread."""
    from pypinyin import lazy_pinyin

    if characters in _READINGS:
        return _READINGS[characters]
    made = ""
    for syllable in lazy_pinyin(list(characters), v_to_u=True):
        made += f"'{syllable}" if made and syllable[0] in "aeo" else syllable
    return made
