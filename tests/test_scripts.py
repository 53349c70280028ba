"""Chinese in both scripts, with spans that hold for either."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import scripts
from service.bundle import Bundle
from service.hypotheses import Path
from service.units import Units

CHINESE = st.text(st.sampled_from("头发展皇后面干燥部里公着著妳你是谁誰頭髮，。a1 "), max_size=20)


@pytest.mark.parametrize(
    ("code", "script"),
    [
        ("zh-Hant", "zh-Hant"),
        ("ZH_hant", "zh-Hant"),
        ("zh-tw", "zh-TW"),
        ("zh-Hant-HK", "zh-HK"),
        ("zh-MO", "zh-HK"),
        ("zh", None),
        ("zh-CN", None),
        ("zh-Hans-HK", None),
        ("fr-TW", None),
        (None, None),
    ],
)
def test_a_code_says_the_script(code: str | None, script: str | None) -> None:
    assert scripts.variant(code) == script


def test_phrases_decide() -> None:
    text = "你是谁？头发发展，皇后后面，干燥的里面。"
    assert scripts.written(text, "zh-Hant") == "你是誰？頭髮發展，皇后後面，乾燥的裏面。"
    assert scripts.written(text, "zh-TW") == "你是誰？頭髮發展，皇后後面，乾燥的裡面。"
    assert scripts.written(text, None) == text


def test_only_chinese_is_simplified() -> None:
    assert scripts.read("你是誰？", "zh") == "你是谁？"
    assert scripts.read("你是誰？", "zh-CN") == "你是谁？"
    assert scripts.read("你是誰？", "en") == "你是誰？"


@given(CHINESE, st.sampled_from(["zh-Hant", "zh-TW", "zh-HK"]))
def test_no_conversion_changes_a_length(text: str, script: str) -> None:
    assert len(scripts.read(text, "zh")) == len(text)
    assert len(scripts.written(text, script)) == len(text)


def test_a_conversion_that_would_is_done_by_character(monkeypatch: pytest.MonkeyPatch) -> None:
    class Longer:
        def convert(self, text: str) -> str:
            return {"a": "A", "b": "BB"}.get(text, "much longer")

    monkeypatch.setattr(scripts, "_converter", lambda way: Longer())
    assert scripts.written("ab", "zh-Hant") == "Ab"


@pytest.fixture
def chinese(toy_bundle: Bundle) -> Units:
    manifest = toy_bundle.manifest
    sides: dict[str, Any] = {
        side: dataclasses.replace(getattr(manifest, side), code="zh", words="jieba")
        for side in ("source", "target")
    }
    return Units(dataclasses.replace(toy_bundle, manifest=dataclasses.replace(manifest, **sides)))


def test_a_traditional_text_is_read_as_its_simplified_twin(chinese: Units) -> None:
    told = chinese.text("我們的頭髮", 0, "source")
    twin = chinese.text("我们的头发", 0, "source")
    assert told.text == "我們的頭髮"
    assert (told.encoded, told.words) == (twin.encoded, twin.words)


def test_a_target_is_written_in_the_script_that_was_asked_for(chinese: Units) -> None:
    ids = chinese.tokenizers["target"].encode("你是谁").ids
    path: Any = Path(ids, None, {}, False)  # type: ignore[arg-type]
    source = chinese.text("who", 0, "source")
    made, plain = (chinese.written(path, 0, source, script) for script in ("zh-TW", None))
    assert (made.text, plain.text) == ("你是誰", "你是谁")
    assert (made.encoded, made.words) == (plain.encoded, plain.words)
