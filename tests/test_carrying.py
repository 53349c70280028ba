"""Training pairs with stand-ins: what both sides have, and names now and then."""

from dataclasses import replace

from model_export.carrying import carry, same_numbers
from model_export.config import Bundle, Keeping, Language
from model_export.corpus import Pair
from service.keeping import FOR_NUMBERS, STAND_INS

BUNDLE = Bundle(
    "en-fr",
    "CC0",
    Language("en", "English", " ", "uax29"),
    Language("fr", "French", " ", "uax29-elision"),
)
MAIL = Pair("Write to x@y.fr, Tom.", "Écris à x@y.fr, Tom.", "a")
LOST = Pair("Write to x@y.fr.", "Écris-lui.", "b")


def carried(pairs: list[Pair], names: float = 0.0, seed: int = 1) -> list[Pair]:
    return list(carry(pairs, Keeping(True, names), BUNDLE, seed))


def test_what_both_sides_have_becomes_a_stand_in() -> None:
    (made,) = carried([MAIL])
    (stand_in,) = set(made.source) & set(STAND_INS)
    assert made.source == f"Write to {stand_in}, Tom."
    assert made.target == f"Écris à {stand_in}, Tom."
    assert made.corpus == "a"


def test_what_one_side_has_stays() -> None:
    assert carried([LOST, LOST]) == [LOST, LOST]


def test_names_become_stand_ins_in_some_pairs() -> None:
    plain = Pair("Tom and Mary sing.", "Tom et Mary chantent.", "a")
    assert carried([plain] * 50) == [plain] * 50
    made = carried([plain] * 400, names=0.5)
    swapped = [pair for pair in made if pair != plain]
    assert 120 < len(swapped) < 240
    assert {"Tom", "Mary"} == {
        name for pair in swapped for name in ("Tom", "Mary") if name not in pair.target
    }
    for pair in swapped:
        assert set(pair.source) & set(STAND_INS) == set(pair.target) & set(STAND_INS)


def test_names_of_another_script_are_those_that_the_recipe_spells() -> None:
    sides = Language("zh", "Chinese", "", "jieba"), Language("en", "English", " ", "uax29")
    keeping = Keeping(True, 1.0, spelled={"汤姆": "Tom", "玛丽": "Mary"})
    pairs = [Pair("汤姆认识玛丽。", "Tom knows her.", "a")] * 50
    made = {
        (pair.source[:1] in STAND_INS, pair.target[:1] in STAND_INS, "玛丽" in pair.source)
        for pair in carry(pairs, keeping, Bundle("zh-en", "CC0", *sides), 1)
    }
    assert made == {(True, True, True), (False, False, True)}


def test_all_stand_ins_are_used_alike() -> None:
    made = carried([MAIL] * 400)
    for stand_in in STAND_INS:
        assert 20 < sum(stand_in in pair.source for pair in made) < 90


def test_a_seed_says_it_all() -> None:
    pairs = [MAIL, LOST] * 20
    assert carried(pairs, 0.5) == carried(pairs, 0.5)
    assert carried(pairs, 0.5) != carried(pairs, 0.5, seed=2)


def test_numbers_become_stand_ins_in_some_pairs_if_the_model_is_to_keep_them() -> None:
    plain = Pair("Tom is 25.", "Tom a 25 ans.", "a")
    assert carried([plain] * 50) == [plain] * 50
    keeping = Keeping(True, 0.3, numbers=0.5)
    made = list(carry([plain] * 400, keeping, BUNDLE, 1))
    of_numbers = {pair.source[-2] for pair in made} - {"5"}
    of_names = {pair.source[0] for pair in made} - {"T"}
    assert of_numbers == set(FOR_NUMBERS)
    assert of_names == set(STAND_INS) - set(FOR_NUMBERS)
    assert 140 < sum(pair.source[-2] != "5" for pair in made) < 260
    for pair in made:
        assert set(pair.source) & set(STAND_INS) == set(pair.target) & set(STAND_INS)


def test_numbers_are_the_same_or_not() -> None:
    for source, target, same in (
        ("Tom is 25.", "Tom a 25 ans.", True),
        ("Tom is 25.", "Tom a 2 ans.", False),
        ("25 or 25?", "25 ?", False),
        ("He has 3 of 10:30.", "Il a le 10:30.", False),
        ("He has 3 cats.", "Il a trois chats.", True),
        ("25 million", "25 millions", True),
        ("Hello", "Bonjour, 12", False),
    ):
        assert same_numbers(source, target, BUNDLE) == same, source


def test_what_a_target_writes_its_own_way_is_carried_over_too() -> None:
    chinese = replace(BUNDLE, name="en-zh", target=Language("zh", "Chinese", "", "jieba"))
    dated = Pair("It was on May 12, 1990.", "那是1990年5月12日。", "a")
    measured = Pair("He is 1.8 m tall.", "Il fait 1,8 m.", "a")
    for pair, bundle, texts in (
        (dated, chinese, ("It was on {}.", "那是{}。")),
        (measured, BUNDLE, ("He is {} tall.", "Il fait {}.")),
        (dated, BUNDLE, (dated.source, dated.target)),
    ):
        (made,) = carry([pair], Keeping(True, 0.0), bundle, 1)
        stand_in = "".join(set(made.source) & set(STAND_INS))
        assert (made.source, made.target) == tuple(text.format(stand_in) for text in texts)


def test_numbers_in_words_become_stand_ins_in_some_pairs() -> None:
    chinese = replace(BUNDLE, name="en-zh", target=Language("zh", "Chinese", "", "jieba"))
    plain = Pair("He is nine, on May 12, 1990.", "1990年5月12日，他九岁。", "a")
    keeping = Keeping(True, numbers=1.0, number_words=0.5)
    made = list(carry([plain] * 200, keeping, chinese, 1))
    of_words = [pair for pair in made if "nine" not in pair.source]
    assert 60 < len(of_words) < 140
    for pair in of_words:
        nine, date = pair.source[6], pair.source[-2]
        assert pair.source == f"He is {nine}, on {date}."
        assert pair.target == f"{date}，他{nine}岁。"
        assert {nine, date} < set(STAND_INS)
        assert nine in FOR_NUMBERS
    assert all("九" in pair.target for pair in made if "nine" in pair.source)
