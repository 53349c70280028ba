"""Pictures: what is drawn, and that it is written."""

import dataclasses
import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from model_export import config, pictures
from model_export.run import Run
from model_export.train import load_model
from service.translator import Translator
from tests.architectures import lively, network
from tests.figures import PNG, curves, labels, matrices


def test_the_curve_shows_losses_and_scores(
    toy_run: Run, tmp_path: Path, drawn: list[Figure]
) -> None:
    run = dataclasses.replace(toy_run, folder=tmp_path)
    run.log(step=50, token=5.0, cross=2.0, alignment=1.5, total=7.0)
    run.log(step=60, chrf=20.0, bleu=3.0)
    run.log(step=100, token=4.0, cross=1.0, alignment=0.5, total=5.0)
    path = pictures.draw_curve(run)
    assert path == tmp_path / "curve.png"
    assert path.read_bytes().startswith(PNG)
    (figure,) = drawn
    left, right = map(curves, figure.axes)
    points = {**left, **right}
    assert set(points) == {"token", "cross", "alignment", "chrf", "bleu"}
    assert points["token"] == [[50, 5.0], [100, 4.0]]
    assert points["alignment"] == [[50, 1.5], [100, 0.5]]
    assert (points["chrf"], points["bleu"]) == ([[60, 20.0]], [[60, 3.0]])


def test_both_attentions_of_dev_sentences_are_drawn(
    toy_run: Run, tmp_path: Path, drawn: list[Figure]
) -> None:
    run = dataclasses.replace(toy_run, folder=tmp_path)
    for model in (toy_run.source_model, toy_run.target_model):
        shutil.copyfile(model, tmp_path / model.name)
    path = pictures.draw_attentions(run, load_model(toy_run))
    assert path.read_bytes().startswith(PNG)
    (figure,) = drawn
    assert [axes.get_title() for axes in figure.axes] == list(pictures.TITLES) * 3
    first = run.dev_pairs()[0]
    columns, rows = labels(figure, 0)
    assert "".join(columns[:-1]) == first.source.replace(" ", "")
    assert "".join(rows[:-1]) == first.target.replace(" ", ""), "the toy model has learnt it"
    assert columns[-1] == rows[-1] == "</s>"
    for matrix in matrices(figure):
        assert matrix.sum(axis=1) == pytest.approx(1.0, abs=1e-4)
    cross, alignment = matrices(figure)[:2]
    assert cross.shape == alignment.shape == (len(rows), len(columns))


def test_one_dev_sentence_is_enough(toy_run: Run, tmp_path: Path, drawn: list[Figure]) -> None:
    with gzip.open(tmp_path / "dev.tsv.gz", "wt", encoding="utf-8") as out:
        out.write("The cat sees the dog.\tLe chat voit le chien.\ttoy\n")
    run = Run(toy_run.recipe, tmp_path, tmp_path)
    for model in (toy_run.source_model, toy_run.target_model):
        shutil.copyfile(model, tmp_path / model.name)
    assert pictures.draw_attentions(run, load_model(toy_run)).is_file()
    assert len(drawn[0].axes) == 2


@pytest.mark.parametrize(
    ("sizes", "titles"),
    [
        (network("gru", "lstm", "none"), ["", "alignment head"]),
        (network("gru", "gru", "additive", alignment_head=0), ["cross-attention", ""]),
        (network("lstm", "transformer", "multi-head"), list(pictures.TITLES)),
    ],
)
def test_a_model_is_drawn_with_what_it_has(
    toy_run: Run, tmp_path: Path, drawn: list[Figure], sizes: config.Model, titles: list[str]
) -> None:
    run = dataclasses.replace(toy_run, folder=tmp_path)
    for path in (toy_run.source_model, toy_run.target_model):
        shutil.copyfile(path, tmp_path / path.name)
    source, target = run.tokenizers()
    pictures.draw_attentions(run, lively(sizes, pieces=(source.size, target.size)))
    (figure,) = drawn
    assert [axes.get_title() for axes in figure.axes] == titles * 3
    for axes in figure.axes:
        assert axes.axison == bool(axes.get_title())
        for image in axes.get_images():
            assert np.asarray(image.get_array()).sum(axis=1) == pytest.approx(1.0, abs=1e-4)


def test_a_translation_is_drawn_as_the_bundle_makes_it(
    translator: Translator, tmp_path: Path, drawn: list[Figure]
) -> None:
    path = pictures.draw_translation(translator, "The cat sees the dog.", tmp_path / "x.png")
    assert path.read_bytes().startswith(PNG)
    (figure,) = drawn
    columns, rows = labels(figure, 1)
    assert "".join(columns) == "Thecatseesthedog.</s>"
    assert "".join(rows) == "Lechatvoitlechien.</s>"
    cross, alignment = matrices(figure)
    assert cross.shape == alignment.shape == (len(rows), len(columns))
    assert abs(cross - alignment).max() > 1e-3
