"""What a comparison shows: the table, the curves of every set, and the page of matrices."""

import dataclasses
import math
from pathlib import Path

from matplotlib.figure import Figure

from model_export import compared
from model_export.compare import SENTENCES
from model_export.run import Run
from tests.figures import PNG, curves, labels, matrices
from tests.test_compare import some


def test_the_table_says_what_was_not_measured() -> None:
    bare = dataclasses.replace(some("none"), cross_aer=None, head_aer=math.nan, entropy=None)
    header, first, second = compared.table([some("dot"), bare])
    assert first == ["dot", "31.2", "50.0", "20.0", "10.0", "3.1 M", "12,345", "6,789", "1.23"]
    assert second[3:5] == ["–", "–"]
    assert second[-1] == "–"
    assert len(header) == len(first) == len(second)


def test_curves_and_matrices_are_drawn(toy_run: Run, tmp_path: Path, drawn: list[Figure]) -> None:
    place = dataclasses.replace(toy_run, folder=tmp_path)
    bare = dataclasses.replace(some("none"), matrices=[])
    short = dataclasses.replace(some("local-p"), bleu_by_length={"dev": {"1–4": 10.0}})
    rows = [bare, some("dot"), short]
    paths = compared.draw(place, rows)
    assert [path.name for path in paths] == ["length.png", "matrices.png"]
    for path in paths:
        assert path.read_bytes().startswith(PNG)
    lengths, page = drawn
    points = curves(lengths.axes[0])
    assert points["dot"] == [[0, 30.0], [1, 20.0]]
    assert points["local-p"] == [[0, 10.0]]
    assert "none" in points
    assert lengths.axes[0].get_title() == "dev"
    titles = [axes.get_title() for axes in page.axes]
    assert titles == ["dot"] * len(SENTENCES) + ["local-p"] * len(SENTENCES)
    assert labels(page, 0) == (["a", "</s>"], ["b", "c", "</s>"])
    for matrix in matrices(page):
        assert matrix.tolist() == [[0.75, 0.25]] * 3


def test_no_two_lines_look_alike(toy_run: Run, tmp_path: Path, drawn: list[Figure]) -> None:
    rows = [dataclasses.replace(some(f"m{n}"), matrices=[]) for n in range(14)]
    compared.draw(dataclasses.replace(toy_run, folder=tmp_path), rows)
    lines = drawn[0].axes[0].get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(rows)
