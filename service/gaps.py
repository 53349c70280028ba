"""What must not stand close together in a translation, or would be read as one word.

    English, French  a letter and then what is kept: sixPriya       ->  six Priya
    Chinese          what is kept, beside letters or digits of ASCII:
                     Mbeki5美元, example.org5月12日  ->  Mbeki 5美元, example.org 5月12日

But where something that is kept stands close to a letter in the source, as in `{n}px`, it may.
"""

from collections.abc import Sequence
from dataclasses import replace

from service.hypotheses import Source
from service.keeping import Kept
from service.tokenizer import Tokenizer


def parted(
    about: Source, text: str, kept: Sequence[Kept], target: Tokenizer, spaces: bool
) -> Source:
    """Return what a search knows, with the tokens of a target that stand apart.

    `kept` is what a source `text` carries over. `spaces` says that the target's words have them.
    """
    if target.space is None:
        return about
    befores = [text[max(0, one.span.start - 1) : one.span.start] for one in kept]
    if spaces:
        apart = not any(map(str.isalpha, befores))
        joining = target.lettered if apart else frozenset[int]()
        return replace(
            about, gap=target.space, spaces=True, joining=joining, joined=about.stand_ins
        )
    behinds = [text[one.span.end : one.span.end + 1] for one in kept]
    if any(map(_is_narrow, befores + behinds)):
        return about
    begins, ends = target.narrow
    written = {target.byte_id(ord(one.stand_in)): one.written for one in kept}
    return replace(
        about,
        gap=target.space,
        joining=ends.union(token for token, one in written.items() if _is_narrow(one[-1])),
        joined=begins.union(token for token, one in written.items() if _is_narrow(one[0])),
    )


def _is_narrow(character: str) -> bool:
    return character.isascii() and character.isalnum()
