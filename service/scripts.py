"""Chinese in both scripts: models read and write simplified characters, people either.

The sole importer of OpenCC, whose dictionaries choose by phrase: 头发 is 頭髮, 发展 is 發展. A
conversion never changes the length of a text, so every span of the one is a span of the other.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

_READ = "t2s"
_WRITTEN: Mapping[str, str] = MappingProxyType({"zh-Hant": "s2t", "zh-TW": "s2tw", "zh-HK": "s2hk"})
TRADITIONAL = ("zh-Hant", "Chinese (traditional)")
"""What a bundle of Chinese offers besides: code and name."""


def variant(code: str | None) -> str | None:
    """Return which traditional script a BCP-47 code asks for, as of `written`; None if none."""
    parts = (code or "").replace("_", "-").lower().split("-")
    if parts[0] != "zh":
        return None
    regions = {"tw": "zh-TW", "hk": "zh-HK", "mo": "zh-HK"}
    named = [regions[part] for part in parts if part in regions]
    if "hans" in parts or not ("hant" in parts or named):
        return None
    return named[0] if named else "zh-Hant"


def base(language: str) -> str:
    """Return the primary subtag of a language code, "zh" of "zh-Hant" (BCP 47)."""
    return language.replace("_", "-").split("-")[0].lower()


def is_chinese(language: str) -> bool:
    """Whether a BCP-47 code is of Chinese, in whichever script."""
    return base(language) == "zh"


def read(text: str, language: str) -> str:
    """Return a text as a model of a language reads it: Chinese in simplified characters."""
    return _convert(text, _READ) if is_chinese(language) and not text.isascii() else text


def written(text: str, script: str | None) -> str:
    """Return simplified Chinese in a traditional script, or as it is if there is none."""
    return text if script is None else _convert(text, _WRITTEN[script])


def _convert(text: str, way: str) -> str:
    converter = _converter(way)
    made: str = converter.convert(text)
    if len(made) == len(text):
        return made
    single = (converter.convert(character) for character in text)
    return "".join(new if len(new) == 1 else old for new, old in zip(single, text, strict=True))


@cache
def _converter(way: str) -> Any:
    import opencc  # loads dictionaries, which only servers of Chinese need

    return opencc.OpenCC(way)
