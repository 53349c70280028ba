"""Bodies by hypothesis: requests that are almost right, JSON of any shape, and any bytes."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.stress.wire import request

Strategy = st.SearchStrategy[Any]

ANSWERS = frozenset(
    {
        *("ok", "malformed_body", "invalid_encoding", "invalid_request", "invalid_beam"),
        *("unknown_pair", "empty_word", "no_reverse_model", "sentence_too_long", "text_too_long"),
        *("too_many_texts", "body_too_large", "unsupported_media_type", "deadline_exceeded"),
    }
)
"""What may answer them; nothing of it is the server's fault, nor that of time that nobody has."""

_SCALARS: Strategy = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=True)
    | st.text(st.characters(), max_size=40)
)
_ANY: Strategy = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
_TEXT: Strategy = st.text(max_size=60)
_CODES: Strategy = st.sampled_from(["en", "fr", "EN", "fr-CA", "zh", "", "x" * 65, "\ud800", None])
_SMALL: Strategy = st.integers(-1, 9)

_OPTIONS: dict[str, Strategy] = {
    "source": _CODES,
    "target": _CODES,
    "attention": st.sampled_from(["cross", "alignment", "none", None, "both"]),
    "heads": st.booleans(),
    "unit": st.sampled_from(["token", "word", "letter"]),
    "timeout": st.sampled_from([None, 0, -1, 120, 1e300, "5", True]),
    "matrix": st.sampled_from(["decimals", "integers", 1]),
    "diagnostics": st.booleans(),
    "timing": st.booleans(),
}
_TRANSLATE: dict[str, Strategy] = {
    **_OPTIONS,
    "text": _TEXT | st.lists(_TEXT, max_size=3),
    "beam_size": _SMALL,
    "n_best": _SMALL,
    "split_sentences": st.booleans(),
    "max_length": st.none() | st.integers(-1, 70_000),
    "length_penalty": st.floats(-1, 6),
}
_SIDE: Strategy = _TEXT | st.lists(_TEXT, max_size=3)
_PAIR: Strategy = st.fixed_dictionaries(
    {"source_text": _SIDE}, optional={"target_text": _SIDE | st.none(), "more": _ANY}
)
_ALIGN: dict[str, Strategy] = {
    **_OPTIONS,
    "pairs": st.lists(_PAIR, max_size=3),
    "symmetrize": st.sampled_from(["union", "grow-diag", "all", None]),
}


def _spell(value: object) -> bytes:
    """JSON as it is in the wild: sometimes with NaN, sometimes with lone surrogates."""
    return json.dumps(value).encode()


def _almost(fields: dict[str, Strategy], required: str) -> Strategy:
    """A request of which most fields are left out, and one may be anything."""
    optional = {name: values for name, values in fields.items() if name != required}
    right = st.fixed_dictionaries({required: fields[required]}, optional=optional)
    spoilt = st.tuples(right, st.sampled_from([*fields, "field"]), _ANY).map(
        lambda drawn: {**drawn[0], drawn[1]: drawn[2]}
    )
    return (right | spoilt).map(_spell)


@st.composite
def _damaged(draw: st.DrawFn, whole: Strategy) -> bytes:
    """The bytes of a request, of which some are others or gone."""
    content = bytearray(draw(whole))
    at = draw(st.integers(0, len(content)))
    content[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(content)


def requests() -> Strategy:
    """A POST of any of them, as it goes over the wire."""
    translate, align = _almost(_TRANSLATE, "text"), _almost(_ALIGN, "pairs")
    whatever = _ANY.map(_spell) | st.binary(min_size=1, max_size=300)
    return st.one_of(
        (translate | _damaged(translate)).map(lambda body: request("POST", "/translate", body)),
        (align | _damaged(align)).map(lambda body: request("POST", "/align", body)),
        st.builds(
            lambda path, body: request("POST", path, body),
            st.sampled_from(["/translate", "/align"]),
            whatever.filter(bool),
        ),
    )
