"""What a comparison of mechanisms shows: table, BLEU against source length, page of matrices."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from model_export import pictures
from model_export.compare import SENTENCES, Measured
from model_export.run import Run

DASHES = ("-", "--", ":")
"""How lines are drawn that have no colour of their own."""


def table(rows: Sequence[Measured]) -> list[list[str]]:
    """Return the table, its header first, as text."""
    header = ["mechanism", "BLEU", "chrF", "AER cross", "AER head", "parameters"]
    header += ["training tokens/s", "serving tokens/s", "entropy"]
    return [
        header,
        *(
            [
                row.name,
                f"{row.bleu:.1f}",
                f"{row.chrf:.1f}",
                _figure(row.cross_aer, 1),
                _figure(row.head_aer, 1),
                f"{row.parameters / 1e6:.1f} M",
                _figure(row.training_speed, 0),
                f"{row.serving_speed:,.0f}",
                _figure(row.entropy, 2),
            ]
            for row in rows
        ),
    ]


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def draw(run: Run, rows: Sequence[Measured]) -> list[Path]:
    """Draw BLEU against source length, and the cross-attentions of the same sentences."""
    drawn = [pictures.save(_curves(rows), run.path("length.png"))]
    if any(row.matrices for row in rows):
        drawn.append(pictures.save(_page(rows), run.path("matrices.png")))
    return drawn


def _curves(rows: Sequence[Measured]) -> Figure:
    sets = list(rows[0].bleu_by_length)
    size = (6 * len(sets) + 2, 4)
    figure, places = plt.subplots(
        1, len(sets), figsize=size, layout="constrained", squeeze=False, sharey=True
    )
    for name, axes in zip(sets, places[0], strict=True):
        for number, row in enumerate(rows):
            classes, width = row.bleu_by_length[name], 3 if row.name == "none" else 1
            style = f"oC{number % 10}{DASHES[number // 10 % len(DASHES)]}"
            axes.plot(list(classes), list(classes.values()), style, label=row.name, linewidth=width)
        axes.set(title=name, xlabel="source length in words", ylabel="BLEU")
    figure.legend(*places[0, 0].get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    return figure


def _page(rows: Sequence[Measured]) -> Figure:
    """Draw a row of matrices for every mechanism that has cross-attention."""
    shown = [row for row in rows if row.matrices]
    count = len(SENTENCES)
    figure, axes = plt.subplots(
        len(shown),
        count,
        figsize=(3.4 * count, 3.1 * len(shown)),
        layout="constrained",
        squeeze=False,
    )
    for line, row in zip(axes, shown, strict=True):
        for place, found in zip(line, row.matrices, strict=True):
            pictures.draw_matrix(
                place, np.array(found["cross"]), found["source"], found["target"], row.name
            )
            place.tick_params(labelsize=6)
    return figure
