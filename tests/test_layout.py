"""What is laid out as blocks, cells and code becomes sentences and gaps, and no tag is cut."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.segmentation import segment


def check(expected: str, language: str = "en") -> None:
    """Compare with a text that has its sentences in brackets, and arrows for line breaks."""
    expected = expected.replace("↵", "\n")
    parts = segment(re.sub("[⟦⟧]", "", expected), language, split=True)
    texts = [f"⟦{sentence.text}⟧" for sentence in parts.sentences]
    pieces = itertools.zip_longest(parts.gaps, texts, fillvalue="")
    assert "".join(itertools.chain(*pieces)) == expected


PREFIXES = """- ;* ;+ ;• ;– ;— ;\t-  ;-\u00a0;# ;## ;###### ;> ;>> ;> > ;> - ;- - ;> # ;- [ ] ;\
- [x] ;* [X] ;12) ;1) - ;-;–;—;> —"""


@pytest.mark.parametrize("prefix", PREFIXES.split(";"))
def test_what_begins_a_line_is_gap(prefix: str) -> None:
    check(f"{prefix}⟦One.⟧ ⟦Two – three - four.⟧\r↵{prefix}⟦Élan.⟧")
    check(f"⟦One⟧↵{prefix}↵↵{prefix}⟦中文。⟧" if prefix[-1].isspace() else f"{prefix}⟦un⟧", "zh")


MARKUP = r"""
- 1. ⟦One⟧↵2. ⟦Two.⟧ ⟦Then stop.⟧↵⟦3.⟧↵⟦#One⟧↵⟦####### One⟧↵⟦**One**⟧↵⟦-1⟧↵⟦–5 °C⟧
⟦--one⟧↵⟦[ ] One⟧↵⟦1)One⟧
⟦One⟧↵*↵- ↵ # ↵> >↵- [ ]↵|↵| |↵|---|:--:|↵- |-|=|↵⟦Two⟧
| ⟦One⟧ | ⟦Two.⟧ ⟦Three.⟧ |  | ⟦4⟧ |↵|:-|-:|↵|⟦a⟧|⟦b⟧||⟦c \| d⟧|↵> | ⟦one⟧ | — |
⟦One⟧ | ⟦two⟧ | ⟦three⟧↵⟦a|b⟧ | ⟦c || d⟧↵| ⟦a|b⟧↵| ⟦a \|⟧↵  | ⟦one⟧ |  ↵⟦One⟧
| ⟦{x|y}⟧ | ⟦{n, plural, one {a | b}}⟧ | ⟦`p|q`⟧ | ⟦<a t='|'>z</a>⟧ |↵| ⟦` a⟧ | ⟦{ b⟧ |
⟦a {x | y} b⟧ | ⟦`p | q` c⟧ | ⟦<a t=' | '>z</a>⟧ | ⟦{ a⟧ | ⟦b⟧
⟦One.⟧ ⟦Two.⟧↵```↵One. Two.↵```↵- ⟦Three.⟧
⟦One⟧↵```python↵x↵````↵⟦Two⟧↵~~~↵```↵~~~↵⟦Three⟧↵````↵```↵````↵⟦Four⟧
⟦One⟧↵  ```\t↵↵> - <p>↵↵  ```↵⟦Two⟧↵~~~ a`b↵x↵~~~↵⟦Three⟧↵```x↵Four.↵~~~↵
⟦```One``` two⟧↵⟦Use `<br>` and ``</p>`` there.⟧ ⟦`a`, or <b>`b`</b>.⟧↵⟦<p>it`s</p>⟧⟦<p>that`s</p>⟧
⟦a < b⟧↵⟦c > d⟧↵⟦a <b⟧↵⟦c < d>⟧↵⟦a <-⟧↵⟦b>⟧↵⟦<a b="c⟧↵⟦d>⟧↵⟦<3⟧↵⟦x>⟧↵⟦<your↵name here>⟧
<ul>↵  ⟦<li>A</li>⟧↵</ul>↵<hr>
⟦<p>One.</p>⟧<p></p><p>...</p>⟦<p>Two</p>⟧⟦<span><p>one</p></span>⟧
⟦One.⟧ <img src=x> <b>!</b>↵<br>↵⟦...⟧↵⟦:-)⟧↵⟦Press⟧ ⟦<button>OK</button>⟧!
<!DOCTYPE html>↵<html lang='en'>↵<https://a.b>↵<i></i>
⟦one</pre>⟧⟦two</label>⟧⟦three <label>four <span>five <a>six</a> <b>⟧
"""


@pytest.mark.parametrize("text", MARKUP.split("\n")[1:-1])
def test_markup(text: str) -> None:
    check(text)


@pytest.mark.parametrize("name", ["script", "style", "pre", "textarea", "PRE"])
def test_elements_without_text_are_gap(name: str) -> None:
    element = f"<{name} a='>'↵b>↵One. <p>↵↵```↵Two.</{name.swapcase()} >"
    check(f"⟦One.⟧ {element}⟦two.⟧{element}↵{element}↵- ⟦Three.⟧{element}")
    check(f"⟦<{name}> One.⟧↵⟦Two.⟧↵⟦<{name}s>One.</{name}s>⟧↵⟦Two.⟧")


TAGS = """
<a↵href="x">
<a b='>↵↵>' c="<p>↵"↵>
</a↵>
<img\tsrc=x↵↵/>
<a x=it's y=↵'>'>
<i a='Mr. Who? Me. No.'>
<!-- One. Two.↵↵<p>Three -->
<!---->
"""


@pytest.mark.parametrize("tag", [*TAGS.split("\n")[1:-1], f"<a↵b='{'c' * 1992}'>"])
def test_tags_and_comments_are_not_cut(tag: str) -> None:
    check(f"⟦See {tag}this</a>.⟧ ⟦Or {tag}that</a>⟧↵⟦{tag}Next.⟧↵{tag}↵⟦End⟧")
    check(f"⟦<a⟧↵⟦b='{'c' * 1993}'>⟧")  # too long for a tag


@pytest.mark.parametrize("end", ["<br>", "<br/>", "<BR />", "<br class='a'>", "<hr>", "</header>"])
def test_breaks_and_blocks_end_a_sentence(end: str) -> None:
    check(f"⟦one{end}⟧⟦two{end} {end}⟧ ⟦<b>three{end}</b>⟧⟦four⟧↵{end}↵⟦Is it? {end}⟧ ⟦Yes.⟧")


BLOCKS = """p div li ul ol dl dt dd tr td th table h1 h6 blockquote section option title header main
footer nav aside article summary details caption figcaption figure address form button fieldset
legend thead tbody tfoot"""


@pytest.mark.parametrize("name", BLOCKS.split())
def test_a_block_begins_a_sentence_and_ends_one(name: str) -> None:
    check(f"⟦one⟧⟦<{name}>two</{name}>⟧⟦three⟧")
    check(f"⟦one⟧ ⟦<div><{name.upper()} a='b'> <p>two</p></{name}></div>⟧ ⟦three⟧↵⟦<{name}-x>four⟧")


ABBREVIATIONS = "approx vol fig pp p ch art env av apr no vs cf Approx Vol Fig P No Cf"


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("word", ABBREVIATIONS.split())
def test_a_number_belongs_to_what_stands_before_it(word: str, language: str) -> None:
    check(f"⟦Voir {word}. 3.⟧ ⟦Yes, ({word}.\u00a012) and {word}. 4 here.⟧ ⟦Bon.⟧", language)
    check("⟦A ship.⟧ ⟦3 men came.⟧", language)


LINES = """
- ⟦One.⟧ ⟦Two.⟧
| ⟦a⟧ | ⟦b⟧ |
|-|-|
```↵a. B↵```
1. ⟦One⟧
⟦One <a↵b='>'>two</a>.⟧
<ul>
⟦<li>One</li>⟧ ⟦<li>two</li>⟧
<pre>↵↵- x</pre>
⟦one<br>⟧⟦two⟧
⟦one⟧ | ⟦two⟧
—⟦Oui.⟧ ⟦Non.⟧
<!-- a↵↵b -->
⟦a < b⟧

"""


@given(st.lists(st.sampled_from(LINES.split("\n")[1:-1])).map("↵".join))
def test_lines_are_read_one_by_one(text: str) -> None:
    check(text)
