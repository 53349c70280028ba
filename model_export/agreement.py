"""Links that the trained heads of both directions make together: labels of a second round.

An aligner counts words; a trained head has read sentences. Two heads of opposite directions err in
different places, so what they make together is righter than either (Liang et al. 2006, alignment
by agreement), and a head that learns from it comes to say alone what both said.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np

from model_export import corpus, draft
from model_export.carrying import carried
from model_export.corpus import Ragged
from model_export.evaluate import CAPACITY
from model_export.run import Run
from model_export.wait import patient, wait
from service.alignment import membership
from service.bundle import Bundle
from service.directions import align_both_ways
from service.keeping import STAND_INS
from service.options import Options, Pair
from service.symmetrization import Method
from service.translation import Alignment, Side
from service.translator import Translator

AT_ONCE = 4096
Report = Callable[[str], None]


def agreed_links(run: Run, reverse: Bundle, report: Report) -> Ragged:
    """Return links as in `Encoded.links` for a sample of the training pairs, none for the rest.

    The run's int8 graphs and a bundle of the other direction align each pair, and their links are
    merged as the recipe's `sharpening` says. Of two linked words, each piece of the target is
    linked to the piece of the source that the run's own head looks at most.
    """
    pairs = carried(corpus.training_pairs(run.data, run.recipe.corpus), run.recipe)
    rows: list[list[int]] = [[] for _ in pairs]
    chosen = _sample(run, pairs)
    method = cast("Method", run.recipe.sharpening.symmetrization)
    forward = Translator(draft.open_draft(run, "int8"), CAPACITY)
    backward = Translator(reverse, CAPACITY)
    for start in range(0, len(chosen), AT_ONCE):
        some = chosen[start : start + AT_ONCE]
        asked = [Pair(pairs[i].source, pairs[i].target) for i in some]
        options = Options(attention="alignment", deadline=patient())
        made = wait(align_both_ways(forward, backward, asked, options, method))
        for i, one in zip(some, made, strict=True):
            rows[i] = sorted(_piece_links(one))
        report(f"{start + len(some)} of {len(chosen)} pairs linked by both heads")
    forward.close(0.0)
    backward.close(0.0)
    return Ragged.of(rows)


def _sample(run: Run, pairs: Sequence[corpus.Pair]) -> list[int]:
    """Return the indices of some pairs, drawn as the head will draw them."""
    options = run.recipe.sharpening
    rng = np.random.default_rng(run.recipe.training.seed)
    shares = np.load(run.path("shares.npy"), allow_pickle=False) ** options.share_power
    drawn = rng.permutation(np.unique(corpus.draw(shares, rng))).tolist()
    return [i for i in drawn if _plain(pairs[i])][: options.by_heads]


def _plain(pair: corpus.Pair) -> bool:
    """Tell whether a pair has no stand-ins, which a text of a client never has."""
    return not set(STAND_INS).intersection(pair.source + pair.target)


def _piece_links(made: Alignment) -> Iterator[int]:
    """Yield the packed links of pieces for the links of words."""
    assert made.attention is not None  # (target pieces + 1, source pieces + 1)
    sources, targets = _pieces_of_words(made.source), _pieces_of_words(made.target)
    for link in made.alignment:
        pieces = sources[link.source]
        for t in targets[link.target] if pieces else ():
            yield pieces[int(made.attention[t, pieces].argmax())] << 16 | t


def _pieces_of_words(side: Side) -> list[list[int]]:
    """Return which pieces each word has; one that crosses words belongs where most of it is."""
    spans = [token.span for token in side.tokens[:-1]]
    of_piece = membership(spans, [word.span for word in side.words]).argmax(axis=1)  # (pieces + 1,)
    found: list[list[int]] = [[] for _ in side.words]
    for piece, word in enumerate(of_piece[:-1].tolist()):
        if word < len(found):
            found[word].append(piece)
    return found
