"""The folder of a run, and the arrays that lie in it."""

import dataclasses
import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from model_export import run as runs
from model_export.corpus import Encoded, Pair, Ragged
from model_export.recipe import read_recipe
from model_export.run import Run
from service.errors import DamagedBundle
from tests import toy


@pytest.fixture
def run(tmp_path: Path) -> Run:
    path = tmp_path / "toy.toml"
    path.write_text(toy.RECIPE, encoding="utf-8")
    return Run(read_recipe(path), tmp_path / "data", tmp_path / "runs" / "toy")


def test_the_folder_is_made_when_it_is_needed(run: Run) -> None:
    assert not run.folder.exists()
    assert run.path("x.json") == run.folder / "x.json"
    assert run.folder.is_dir()


def test_everything_of_a_run_lies_in_its_folder(run: Run) -> None:
    paths = [run.source_model, run.target_model, run.checkpoint, run.best]
    assert {path.parent for path in paths} == {run.folder}
    assert len(set(paths)) == 4


def test_a_run_does_not_change(run: Run) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.data = Path()  # type: ignore[misc]


def test_the_log_grows_by_lines_of_json(run: Run) -> None:
    run.log(step=50, token=3.25)
    run.log(step=100, note="é")
    lines = run.path("log.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows == [{"step": 50, "token": 3.25}, {"step": 100, "note": "é"}]


def test_the_log_is_read_back(run: Run) -> None:
    assert run.logged() == []
    run.log(step=50, token=3.25)
    run.log(step=100, note="é")
    assert run.logged() == [{"step": 50, "token": 3.25}, {"step": 100, "note": "é"}]


def test_dev_pairs_come_from_the_recipe(run: Run) -> None:
    run.data.mkdir()
    with gzip.open(run.data / "dev.tsv.gz", "wt", encoding="utf-8") as out:
        out.write("Hi.\tSalut.\ttoy\n\tempty\n")
    assert run.dev_pairs() == [Pair("Hi.", "Salut.", "toy"), Pair("", "empty", "")]


@pytest.mark.parametrize(
    ("wanted", "found"), [(1, [0]), (3, [0, 3, 6, 9]), (5, [0, 2, 4, 6, 8]), (99, list(range(10)))]
)
def test_a_dev_sample_is_spread_evenly(run: Run, wanted: int, found: list[int]) -> None:
    run.data.mkdir()
    with gzip.open(run.data / "dev.tsv.gz", "wt", encoding="utf-8") as out:
        out.writelines(f"{i}\t-\ttoy\n" for i in range(10))
    options = dataclasses.replace(run.recipe.training, dev_sentences=wanted)
    made = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, training=options))
    assert [int(pair.source) for pair in made.dev_sample()] == found


def test_a_reversed_bundle_reads_its_sets_the_other_way_round(run: Run) -> None:
    run.data.mkdir()
    with gzip.open(run.data / "a.en-fr.tsv.gz", "wt", encoding="utf-8") as out:
        out.write("Hi you\tSalut\t0-0|1-0\n")
    turned = dataclasses.replace(run.recipe.corpus, reversed=True)
    other = Run(dataclasses.replace(run.recipe, corpus=turned), run.data, run.folder)
    assert run.pairs(["a.en-fr.tsv.gz"]) == [Pair("Hi you", "Salut", "0-0|1-0")]
    assert other.pairs(["a.en-fr.tsv.gz"]) == [Pair("Salut", "Hi you", "0-0|1-0")]
    (gold,) = other.gold("a.en-fr.tsv.gz")
    assert (gold.source, gold.target) == (("Salut",), ("Hi", "you"))
    assert gold.sure == {(0, 0)}
    assert gold.possible == {(0, 0), (0, 1)}
    names = [each.set_name("dev/a.en-fr.tsv.gz") for each in (run, other)]
    assert names == ["a.en-fr", "a.fr-en"]
    assert other.set_name("dev.tsv.gz") == "dev"


def test_ragged_arrays_come_back(run: Run) -> None:
    path = run.path("arrays.npz")
    one, two = Ragged.of([[1, 2], [], [3]]), Ragged.of([[-5]])
    runs.save_ragged(path, one=one, two=two)
    loaded = runs.load_ragged(path)
    assert set(loaded) == {"one", "two"}
    for name, rows in (("one", one), ("two", two)):
        assert np.array_equal(loaded[name].values, rows.values)
        assert np.array_equal(loaded[name].starts, rows.starts)
        assert loaded[name].values.dtype == np.int32


def test_arrays_are_read_without_pickle(run: Run) -> None:
    path = run.path("arrays.npz")
    with zipfile.ZipFile(path, "w") as arrays:
        for name, array in (("values", np.array([{}], object)), ("starts", np.array([0, 1]))):
            with arrays.open(f"one.{name}.npy", "w") as out:
                np.lib.format.write_array(out, array)
    with pytest.raises(ValueError, match="allow_pickle"):
        runs.load_ragged(path)


def test_the_corpus_is_read_with_its_links(run: Run) -> None:
    source, target, links = Ragged.of([[4], [5, 6]]), Ragged.of([[7, 8], [9]]), Ragged.of([[1], []])
    shares = np.array([0.5, 2], np.float32)
    runs.save_corpus(run, Encoded(source, target, links, shares))
    corpus = runs.load_corpus(run)
    assert corpus.shares.tolist() == [0.5, 2]
    assert corpus.source[1].tolist() == [5, 6]
    assert corpus.target[0].tolist() == [7, 8]
    assert [corpus.links[i].tolist() for i in range(2)] == [[1], []]


def test_tokenizers_are_read_from_the_run(run: Run) -> None:
    run.source_model.write_bytes(b"no model")
    run.target_model.write_bytes(b"no model")
    with pytest.raises(DamagedBundle, match=r"source\.model"):
        run.tokenizers()
