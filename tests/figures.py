"""What can be read off figures that were drawn; the fixture `drawn` keeps them."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.hypotheses import Floats

PNG = b"\x89PNG\r\n"


def labels(figure: Figure, place: int) -> tuple[list[str], list[str]]:
    """Column and row labels of a matrix."""
    axes = figure.axes[place]
    return (
        [label.get_text() for label in axes.get_xticklabels()],
        [label.get_text() for label in axes.get_yticklabels()],
    )


def matrices(figure: Figure) -> list[Floats]:
    """The matrices of a figure, in the order of its places."""
    return [np.asarray(axes.get_images()[0].get_array(), np.float32) for axes in figure.axes]


def curves(axes: Axes) -> dict[str, list[list[float]]]:
    """The points of every line of a plot, by its label."""
    return {
        str(line.get_label()): np.asarray(line.get_xydata(), float).tolist()
        for line in axes.get_lines()
    }
