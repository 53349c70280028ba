"""Draws how attention formed while a run trained: a strip of matrices, and a page that moves.

The answer to "how does attention learn that?": the same pairs, target given, at moments of
training from the first step to the last, with the gradient norms of the attention's own
parameters beneath. It reads `watched.jsonl` (see `watch.py`) and needs no model.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from model_export import watch
from model_export.pictures import save

STRIP = 8
"""Moments in a picture."""

KINDS = {"cross": "cross-attention", "alignment": "alignment head"}
PAGE = Path(__file__).with_name("explain.html")
Moment = dict[str, Any]


def explain(folder: Path) -> list[Path]:
    """Write the pictures and the page of a run's folder; return their paths.

    Raises `FileNotFoundError` where nothing was watched; a model without any attention has no
    strips.
    """
    moments = list(watch.read(folder))
    pairs = [n for n, pair in enumerate(moments[0]["pairs"]) if KINDS.keys() & pair.keys()]
    pictures = [save(_strip(moments, pair), folder / f"explain-{pair + 1}.png") for pair in pairs]
    pictures.append(save(_gradients(moments), folder / "explain-gradients.png"))
    page = folder / "explain.html"
    data = json.dumps(moments, ensure_ascii=False).replace("</", "<\\/")
    page.write_text(
        Template(PAGE.read_text(encoding="utf-8")).substitute(moments=data), encoding="utf-8"
    )
    return [*pictures, page]


def chosen(moments: Sequence[Moment]) -> list[Moment]:
    """Return at most `STRIP` moments, the first and the last among them."""
    places = np.linspace(0, len(moments) - 1, min(STRIP, len(moments))).round().astype(int)
    return [moments[place] for place in dict.fromkeys(places.tolist())]


def _strip(moments: Sequence[Moment], pair: int) -> Figure:
    """Draw the attentions of one pair, a row a kind and a column a moment."""
    columns = chosen(moments)
    kinds = [kind for kind in KINDS if kind in columns[0]["pairs"][pair]]
    figure, axes = plt.subplots(
        len(kinds),
        len(columns),
        figsize=(2.3 * len(columns), 2.7 * len(kinds)),
        layout="constrained",
        squeeze=False,
    )
    for row, kind in zip(axes, kinds, strict=True):
        for place, moment in zip(row, columns, strict=True):
            seen = moment["pairs"][pair]
            place.imshow(seen[kind], cmap="Blues", vmin=0, vmax=1, aspect="auto")
            place.set_title(f"step {moment['step']}", fontsize=8)
            place.set_xticks(range(len(seen["source"])), seen["source"], rotation=70, fontsize=6)
            first = place is row[0]
            labels = seen["target"] if first else [""] * len(seen["target"])
            place.set_yticks(range(len(seen["target"])), labels, fontsize=6)
        row[0].set_ylabel(KINDS[kind], fontsize=8)
    return figure


def _gradients(moments: Sequence[Moment]) -> Figure:
    """Draw the gradient norms against steps."""
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    known = [moment for moment in moments if moment["gradients"]]
    for part in known[0]["gradients"] if known else ():
        steps = [moment["step"] for moment in known]
        axes.plot(steps, [moment["gradients"][part] for moment in known], "o-", label=part)
    axes.set(xlabel="step", ylabel="gradient norm", xscale="symlog", yscale="log")
    axes.legend()
    return figure
