"""What is kept, what is language, and that neither takes long to tell."""

import pytest

from service import numerals
from service.untranslatable import find, find_all


def contents(text: str, language: str = "en") -> list[str]:
    return [span.of(text) for span in find(text, language)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Mail tom.x+y@example.co.uk today.", ["tom.x+y@example.co.uk"]),
        (
            "See https://example.com/a_(b)?x=1, or (www.foo.org).",
            ["https://example.com/a_(b)?x=1", "www.foo.org"],
        ),
        (
            "See example.org/help, (bit.ly/3xY) or a.co.uk/b?c=1!",
            ["example.org/help", "bit.ly/3xY", "a.co.uk/b?c=1"],
        ),
        ("Open localhost:8080/health or 127.0.0.1:80.", ["localhost:8080/health", "127.0.0.1:80"]),
        ("Run `pip install x`, then {name}.", ["`pip install x`", "{name}"]),
        ("%s of %(n)d, %1$s, %.2f", ["%s", "%(n)d", "%1$s", "%.2f"]),
        ("Set ${HOME}, $PATH and {{ user }}.", ["${HOME}", "$PATH", "{{ user }}"]),
        ("The <b>big</b> cat &amp; dog<br/>.", ["<b>", "</b>", "&amp;", "<br/>"]),
        ("Open README.md or src/main.py.", ["README.md", "src/main.py"]),
        ("It is in /usr/bin/env, ./x or C:\\Temp\\a.", ["/usr/bin/env", "./x", "C:\\Temp\\a"]),
        ("Call foo_bar() with --no-color.", ["foo_bar()", "--no-color"]),
        ("555-0192, +33 6 12 34 56 78", ["555-0192", "+33 6 12 34 56 78"]),
        ("12345 of A380 and COVID-19", ["12345", "A380", "COVID-19"]),
        ("v1.2.3 at 192.168.0.1", ["v1.2.3", "192.168.0.1"]),
        ("2024-01-02 is a date.", ["2024-01-02"]),
        ("He said Привет, мой мир to 東京.", ["Привет", "мой мир", "東京"]),
        ("I ❤️ 👩‍💻 it 🇫🇷!", ["❤️", "👩‍💻", "🇫🇷"]),
        ("Ask @bob_smith.", ["@bob_smith"]),
        ("Use #translation or #été.", ["#translation", "#été"]),
        (
            "See ticket #48213, #été_2024 and (#1): it is #fff.",
            ["#48213", "#été_2024", "#1", "#fff"],
        ),
        ("It costs $20, US$ 5 or £9.99.", ["$20", "US$ 5", "£9.99"]),
        ("He earns $50,000 a year, $2.5M in all.", ["$50,000", "$2.5M"]),
        ("In 2019 $5 was 4€.", ["$5", "4€"]),
        ("It is 25°C, or -3.5 °F.", ["25°C", "-3.5 °F"]),
        ("%d%% of 100%%, %s.", ["%d%%", "%%", "%s"]),
        (
            "Open https://x.com/{id}/edit or /users/{id}/posts.",
            ["https://x.com/{id}/edit", "/users/{id}/posts"],
        ),
        ("Call 138-1234-5678 or 020 7946 0958.", ["138-1234-5678", "020 7946 0958"]),
        ("My iPhone14 plays mp3.", ["iPhone14", "mp3"]),
        (
            "<!DOCTYPE html> <!-- a - b --> <input disabled>",
            ["<!DOCTYPE html>", "<!-- a - b -->", "<input disabled>"],
        ),
        ("```python", ["```python"]),
        ("See 文档https://a.com/b now.", ["文档", "https://a.com/b"]),
        ("Tab\x01", ["\x01"]),
    ],
)
def test_what_is_no_language_is_kept(text: str, kept: list[str]) -> None:
    assert contents(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "How was your day?",
        "100% sure, 50% of it; I paid 5 in total.",
        "He/she and/or 1/2.",
        "In 1984, 12,500 people paid 3.50 at 7PM.",
        "well-known -- e.g. in the U.S.A. - etc.",
        "Déjà vu, naïve façade, œuvre.",
        "“Quoted” – and ‘so’ on…",
    ],
)
def test_what_is_language_is_not(text: str) -> None:
    assert contents(text) == []


def test_latin_words_are_foreign_in_chinese() -> None:
    assert contents("我喜欢Python和iPhone 15，T恤。", "zh") == ["Python", "iPhone 15"]
    assert contents("访问example.com吧", "zh-Hant") == ["example.com"]


def test_a_foreign_word_takes_nothing_of_what_stands_beside_it() -> None:
    assert contents("我的Email tom@example.com。", "zh") == ["Email", "tom@example.com"]
    assert contents("看Google https://g.cn/a?b吧", "zh") == ["Google", "https://g.cn/a?b"]
    assert contents("联系Tom tom.s@b.cn Smith吧", "zh") == ["Tom", "tom.s@b.cn", "Smith"]
    assert contents("用Windows 10.0.1 Pro吧", "zh") == ["Windows 10.0.1 Pro"]


def test_in_a_language_that_is_not_known_nothing_is_foreign() -> None:
    assert contents("Привет a@b.org", "ru") == ["a@b.org"]


@pytest.mark.parametrize(
    "text",
    [
        "L'employé/employeur, la santé/sécurité, le café/thé, été/hiver.",
        "étudiant(e)/salarié(e), un €/mois, 5%/an, là/ici",
        "100%d'accord, 1ER, 20E, 10H30, 20H, 5KM, 10M, 100K",
        "C'est fini.de toute façon. --Bonjour, dit-il. --Oh",
        "Her résumé/CV, (his)/her, yes /no, 3.50, 12,500",
        "``hello'' and ``bye'', `hello there' and `bye', <<Bonjour>>, x<y and y>z",
        "lʼhomme, Hawaiʻi, $US, Ke$ha, 978-3-16",
    ],
)
def test_signs_between_words_are_language(text: str) -> None:
    assert contents(text) == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("élodie.martin@société.fr", ["élodie.martin@société.fr"]),
        ("Vu sur hôtel.fr et impôts.gouv.fr.", ["hôtel.fr", "impôts.gouv.fr"]),
        ("https://fr.wikipedia.org/wiki/Été !", ["https://fr.wikipedia.org/wiki/Été"]),
        ("Upgrade to version 1.2.3.", ["1.2.3"]),
        ("PHOTO.JPG and mon_fichier_été", ["PHOTO.JPG", "mon_fichier_été"]),
        ("1-800-555-0199", ["1-800-555-0199"]),
        ("1️⃣ ❤️🎉", ["1️⃣", "❤️🎉"]),
        (
            "Ça coûte 20 €, 3,50€, 1.234,89 € pour 1 500 000 habitants.",
            ["20 €", "3,50€", "1.234,89 €", "1 500 000"],
        ),
    ],
)
def test_accents_and_ends_of_sentences_are_no_borders(text: str, kept: list[str]) -> None:
    assert contents(text, "fr") == kept


@pytest.mark.parametrize(
    "unit",
    [
        "a.",
        "1-",
        "-",
        "1.",
        "-/",
        "/-",
        "A1-",
        "v1.",
        "+1",
        "a@",
        "_a",
        "`a",
        "<a",
        "%(a",
        "{",
        "😀\u200d",
        "мa",
        "$a",
        "#",
        "#a",
        "--",
        "1234-",
        "$1",
        "1 ",
        "1,1",
        "ab1",
        "<!--",
        "<a b",
        "/{a}",
        "%%",
        "```",
        "é\u0301",
        *("{a, plural,", "<code>", "<a translate=no>", "<a1 notranslate><b", "&lt;a", "<% ", "<? "),
        *("a.", "a.co/", "a.co:", "1.1.1.1:"),
        *("<a b='", '<a b="', "{{#if ", "::a", ":a", "[[a", "%a", "\\n"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_texts_are_searched_in_linear_time(unit: str, language: str) -> None:
    text = unit * (30_000 // len(unit)) + "!"
    spans = find(text, language)
    assert all(span.end <= len(text) for span in spans)


def test_numbers_of_few_digits_are_found_if_asked_for() -> None:
    text = "Pay $25 for 25 of the 12345 seats at http://a.org/25 by 10:30, 20 °C."
    plain = ["$25", "12345", "http://a.org/25", "20 °C"]
    assert [span.of(text) for span in find(text, "en")] == plain
    found = [span.of(text) for span in find(text, "en", [numerals.find])]
    assert found == ["$25", "25", "12345", "http://a.org/25", "10:30", "20 °C"]
    assert [span.of("25, 30") for span in find_all("25, 30", "en", [numerals.find])] == ["25, 30"]
