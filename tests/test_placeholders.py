"""Placeholders of all kinds are found whole, and what makes one word is kept as one."""

import pytest

from service.placeholders import is_in_turn, meant, messages
from service.untranslatable import find, find_all


def contents(text: str) -> list[str]:
    return [span.of(text) for span in find(text, "en")]


@pytest.mark.parametrize(
    "content",
    [
        *("%ld", "%lld", "%hd", "%lu", "%zu", "%e", "%g", "%c", "%p", "%n", "%*d", "%-5.2f"),
        *("%(n).2f", "%(name)s", "%<n>s", "%{count}", "%name%", "%NAME%", "%1$s", "%@"),
        *("<%= name %>", "<% if x %>", "<?= $x ?>", "$(name)", "$x->name", "${{ x }}", "{{{x}}}"),
        *("@{{ name }}", "!{name}", "#{name}", "@{name}", "[[name]]", "((name))", "[%name%]"),
        *("##name##", "::name::", ":name", ":smile:", "\\u00e9"),
        *("{h}:{m}", "{a}{b}", "%@%@", "{url}?id={id}", "{w}x{h}", "{first}.{last}@x.org"),
        "{count, plural, one {# file} other {# files}}",
        "{g, select, male {He liked {x}} other {They liked it}}",
        "<code>rm -rf x</code>",
        '<span translate="no">My Company</span>',
        '<b class="x notranslate">My Company</b>',
        "<kbd>Ctrl</kbd>",
        "{% if x %}",
    ],
)
def test_a_placeholder_is_kept_whole(content: str) -> None:
    assert contents(f"The cat sees {content} here.") == [content]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("I like <0>red</0> wine<1/>.", ["<0>", "</0>", "<1/>"]),
        ('<a href="x" title="a > b">go</a>', ['<a href="x" title="a > b">', "</a>"]),
        ("<a\n href='x'>go</a>", ["<a\n href='x'>", "</a>"]),
        ("<![CDATA[go]]>", ["<![CDATA[", "]]>"]),
        ("<!-- a\nb --> go", ["<!-- a\nb -->"]),
        ("&lt;b a=&quot;x&quot;&gt;go&lt;/b&gt;", ["&lt;b a=&quot;x&quot;&gt;", "&lt;/b&gt;"]),
        ("{{#if x}}go{{/if}}", ["{{#if x}}", "{{/if}}"]),
    ],
)  # fmt: skip
def test_tags_of_all_kinds_are_found(text: str, tags: list[str]) -> None:
    assert contents(text) == tags


@pytest.mark.parametrize(
    "text",
    [
        "It is 50 % done, 100% sure and 5 %.",
        "Note: a test :-) :D at 10:30",
        "a < b and c > d",
        "I don&apos;t like caf&eacute;&nbsp;!",
        "and/or (this) [that] # that C# F#",
        "I have 2 < 3 apples > 1",
    ],
)
def test_what_is_language_stays(text: str) -> None:
    assert contents(text) == []


def test_placeholders_apart_are_apart() -> None:
    assert contents("see {a}, {b} and {c} {d} or <b>{e}</b>{f}") == [
        *("{a}", "{b}", "{c}", "{d}"),
        *("<b>", "{e}", "</b>", "{f}"),
    ]


def test_a_text_without_words_is_found_whole() -> None:
    for text in ("1,000", "→", "{a} {b} 12", "---", "<b>1</b>"):
        assert [span.of(f" {text} ") for span in find_all(f" {text} ", "en")] == [text]
    assert find_all("  ", "en") == []


def test_which_references_are_read() -> None:
    read = {"&apos;": "'", "&#39;": "'", "&eacute;": "é", "&nbsp;": "\u00a0", "&#x2014;": "—"}
    for reference, character in read.items():
        assert meant(reference) == character
    for reference in ("&lt;", "&amp;", "&copy;", "&foo;", "&#0;", "a", ""):
        assert meant(reference) == ""


def test_which_placeholders_are_filled_in_turn() -> None:
    assert all(map(is_in_turn, ("%s", "%d%%", "%-5.2f", "%ld", "{}", "%@")))
    assert not any(map(is_in_turn, ("%1$s", "%(n)s", "{0}", "%%", "<b>", "%name%")))


def test_a_message_among_foreign_words_is_one() -> None:
    message = "{count, plural, one {# file} other {# files}}"
    spans = find(f"我 有 files {message} 和 {message}", "zh")
    assert [span.of(f"我 有 files {message} 和 {message}") for span in spans] == [
        *("files", message, message)
    ]


def test_messages_are_balanced() -> None:
    assert messages("{a, plural, one {x} other {{b}}} {c, select, x {") == [(0, 32)]
