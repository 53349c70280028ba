"""Finds measures, such as 1.8 m or 16 GB, and writes them as another language does.

A decimal has a point in English and Chinese, and a comma in French. Symbols of units are the same
everywhere, except that bytes are octets in French; Chinese has characters for the common ones.

    English  1.8 m, 1,200 kg, 16 GB
    French   1,8 m, 1 200 kg, 16 Go
    Chinese  1.8米, 1,200公斤, 16 GB
"""

from collections.abc import Callable, Mapping

import regex

from service import scripts
from service.decimals import COMMA, POINT, SPACE, has_comma, with_comma, with_point

_SYMBOLS = (
    "[kcm]?m[²³]?|km/h|m/s|[km]?g|m?l|m?L|[kMG]?Hz|kWh|[km]?W|[km]?V|mA|dB|px|hPa|kPa|kJ|kcal"
)
_BYTES, _OCTETS = "[kKMGT]B", "[kKMGT]o"
_APART, _ALONE = r"(?<![\w.,-])(?<!\d[ \u00a0\u202f])", r"(?![\w'’/²³]|-\w)"
_MEASURE = rf"(?P<gap>{SPACE}?)(?P<unit>"
_WITH_POINT = regex.compile(rf"{_APART}{POINT}{_MEASURE}{_SYMBOLS}|{_BYTES}){_ALONE}", regex.ASCII)
_WITH_COMMA = regex.compile(
    rf"{_APART}{COMMA}{_MEASURE}{_SYMBOLS}|{_BYTES}|{_OCTETS}){_ALONE}", regex.ASCII
)

_CHINESE: Mapping[str, str] = {
    "m": "米",
    "cm": "厘米",
    "mm": "毫米",
    "km": "公里",
    "m²": "平方米",
    "km²": "平方公里",
    "m³": "立方米",
    "kg": "公斤",
    "g": "克",
    "mg": "毫克",
    "l": "升",
    "L": "升",
    "ml": "毫升",
    "mL": "毫升",
    "W": "瓦",
    "kW": "千瓦",
    "kWh": "千瓦时",
    "V": "伏",
}


def find(text: str, language: str) -> list[tuple[int, int]]:
    """Return where measures begin and end in a text of a language, in order."""
    pattern = _WITH_COMMA if has_comma(language) else _WITH_POINT
    return [match.span() for match in pattern.finditer(text, concurrent=False)]


def speller(source: str, target: str) -> Callable[[str], str]:
    """Return how a target writes what is a measure of a source; anything else stays as it is."""
    to_chinese = scripts.is_chinese(target) and not scripts.is_chinese(source)
    if has_comma(source) and not has_comma(target):
        return _in_chinese_of_french if to_chinese else _with_point
    if has_comma(target) and not has_comma(source):
        return _with_comma
    return _in_chinese if to_chinese else str


def _with_comma(measure: str) -> str:
    found = _WITH_POINT.fullmatch(measure, concurrent=False)
    return measure if found is None else with_comma(found) + _unit(found, "B", "o")


def _with_point(measure: str) -> str:
    found = _WITH_COMMA.fullmatch(measure, concurrent=False)
    return measure if found is None else with_point(found) + _unit(found, "o", "B")


def _in_chinese(measure: str) -> str:
    """Write a unit in Chinese, but for 5m, which may be five million."""
    found = _WITH_POINT.fullmatch(measure, concurrent=False)
    if found is None or (found.group("unit") == "m" and not found.group("gap")):
        return measure
    unit = _CHINESE.get(found.group("unit"))
    return measure if unit is None else measure[: found.start("gap")] + unit


def _in_chinese_of_french(measure: str) -> str:
    return _in_chinese(_with_point(measure))


def _unit(found: "regex.Match[str]", last: str, instead: str) -> str:
    """Return a unit with its gap, bytes as octets or these as bytes."""
    gap, unit = found.group("gap", "unit")
    if unit[0] in "kKMGT" and unit.endswith(last):
        unit = unit.removesuffix(last) + instead
        unit = unit if instead == "B" else unit.replace("Ko", "ko")
    return f"{gap}{unit}"
