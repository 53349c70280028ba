from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from service.errors import RequestError
from service.hypotheses import Path
from service.manifest import Attention, LinkRule, Manifest
from service.options import Options
from service.reading import Reader
from service.segmentation import Span
from service.tokenizer import Encoded
from service.units import Unit, UnitPair
from tests.stand_ins import BOUNDS

CROSS = Attention("cross", "cross", 2, 0)
HEAD = Attention("alignment", "alignment", 1, 1)

BIG_CATS = Encoded((5, 6, 7), (Span(0, 3), Span(3, 6), Span(6, 8)))
CHATS = Encoded((8, 9), (Span(0, 4), Span(4, 5)))
PAIR = UnitPair(
    Unit("big cats", 0, BIG_CATS, (Span(0, 3), Span(4, 8))), Unit("chats", 0, CHATS, (Span(0, 5),))
)
"""Two source words of three pieces and `</s>`, one target word of two pieces and `</s>`."""

HEADS = np.array(
    [
        [[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]],
        [[0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 1.0, 0.0]],
        [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.5, 0.5]],
    ],
    np.float32,
)  # (T, N, S)
ALIGNMENT = np.array([[0.1, 0.4, 0.5, 0.0], [0.0, 0.1, 0.9, 0.0], [0, 0, 0, 1]], np.float32)
PATH = Path((8, 9, 2), np.zeros(3, np.float32), {"cross": HEADS, "alignment": ALIGNMENT}, True)


RULE = LinkRule("alignment", "mutual-best", 0.3)


def reader(*kinds: Attention, rule: LinkRule = RULE) -> Reader:
    model = SimpleNamespace(attention=kinds)
    return Reader(cast(Manifest, SimpleNamespace(model=model, link_rule=rule, warn_from=BOUNDS)))


def test_several_heads_are_shown_as_their_mean() -> None:
    read = reader(CROSS, HEAD).read(PAIR, PATH, Options(attention="cross"))
    assert read.attention is not None
    assert read.attention.tolist() == HEADS.mean(axis=1).tolist()
    assert read.heads is None


def test_each_head_is_shown_on_request() -> None:
    read = reader(CROSS, HEAD).read(PAIR, PATH, Options(attention="cross", heads=True))
    assert read.heads is not None
    assert [head.tolist() for head in read.heads] == [HEADS[:, 0].tolist(), HEADS[:, 1].tolist()]


def test_heads_over_words_have_the_matrix_over_words_as_their_mean() -> None:
    options = Options(attention="cross", heads=True, unit="word")
    read = reader(CROSS, HEAD).read(PAIR, PATH, options)
    assert read.heads is not None
    assert read.attention is not None
    assert read.heads[0].tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    assert np.mean(read.heads, axis=0) == pytest.approx(read.attention)


def test_an_attention_of_one_head_has_itself_as_head() -> None:
    read = reader(CROSS, HEAD).read(PAIR, PATH, Options(attention="alignment", heads=True))
    assert read.heads is not None
    (head,) = read.heads
    assert head.tolist() == ALIGNMENT.tolist()


def test_links_are_of_the_rule_whatever_is_shown() -> None:
    made = reader(CROSS, HEAD)
    shown = [made.read(PAIR, PATH, Options(attention=kind)) for kind in ("cross", "none")]
    assert shown[0].links == shown[1].links
    assert [(link.source, link.target) for link in shown[0].links] == [(1, 0)]
    assert shown[1].attention is None


def test_links_of_several_heads_are_of_their_mean() -> None:
    rule = LinkRule("cross", "best-source", 0.5)
    read = reader(CROSS, rule=rule).read(PAIR, PATH, Options(attention="none"))
    assert [(link.source, link.target, link.score) for link in read.links] == [(1, 0, 0.625)]


def test_a_row_of_several_heads_is_their_mean() -> None:
    made = reader(CROSS, HEAD)
    rows = {"cross": HEADS[0], "alignment": ALIGNMENT[0]}
    row = made.row(rows, Options(attention="cross", heads=True))
    assert {kind: one.shape for kind, one in row.attention.items()} == {
        "cross": (4,),
        "alignment": (4,),
    }
    assert row.attention["cross"].tolist() == [0.75, 0.25, 0.0, 0.0]
    assert row.heads is not None
    assert {kind: one.shape for kind, one in row.heads.items()} == {
        "cross": (2, 4),
        "alignment": (1, 4),
    }
    assert made.row(rows, Options(attention="none", heads=True)).attention == {}
    assert made.row(rows, Options(attention="cross")).heads is None


@pytest.mark.parametrize(
    ("kinds", "usual", "kind"),
    [
        ((CROSS, HEAD), "cross", "cross"),
        ((CROSS,), "alignment", "none"),
        ((), "cross", "none"),
    ],
)
def test_what_is_left_open_is_what_the_model_has(
    kinds: tuple[Attention, ...], usual: Any, kind: str
) -> None:
    assert reader(*kinds).asked(Options(), usual) == kind


def test_what_the_model_has_not_is_refused() -> None:
    with pytest.raises(RequestError, match="no alignment attention") as refused:
        reader(CROSS).asked(Options(attention="alignment"), "cross")
    assert refused.value.detail == {"attention": ["cross", "none"]}
    with pytest.raises(RequestError, match="diagnostics"):
        reader().asked(Options(diagnostics=True), "cross")


def test_a_model_without_attention_links_nothing() -> None:
    path = Path((8, 9, 2), np.zeros(3, np.float32), {}, True)
    read = reader(rule=LinkRule("none", "none", 0.0)).read(PAIR, path, Options())
    assert (read.attention, read.heads, read.links, read.diagnostics) == (None, None, (), None)


def test_diagnostics_see_the_mean_of_the_heads() -> None:
    told = reader(CROSS, HEAD).read(PAIR, PATH, Options(attention="none", diagnostics=True))
    assert told.diagnostics is not None
    assert set(told.diagnostics.entropy) == {"cross", "alignment"}
    assert len(told.diagnostics.entropy["cross"].words) == 1
