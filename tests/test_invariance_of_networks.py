"""The same answer alone or in a crowd, whatever the network: also where its state grows."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from model_export.subwords import EOS
from service.admission import Job
from service.hypotheses import Path
from service.search import Forced
from tests.architectures import ARCHITECTURES, FIRST_WORD, PIECES, exported
from tests.crowds import FORCED, Setting, check_equal, check_interleaved, gathered, given

NETWORKS = (
    "lstm1-transformer-multi-head",
    "gru2-transformer-multi-head-headless",
    "transformer2-transformer-multi-head",
    "transformer2-lstm-top-fed-dot",
    "transformer2-gru-fed-additive",
    "gru2-lstm-fed-local-p",
    "lstm2-gru-fed-multi-head",
    "gru1-lstm-none-headless",
)
CASES = [
    *((name, "int8", 0.0) for name in NETWORKS),
    *((name, "fp32", 2e-5) for name in NETWORKS if "transformer" in name),
]
COUNT = 60
INTERLEAVINGS = 3
LONGEST = 50


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def setting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setting]:
    name, precision, tolerance = request.param
    made = exported(ARCHITECTURES[name], tmp_path_factory.mktemp("network"))
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.geometric(0.08, COUNT), LONGEST).tolist()
    words = [rng.integers(FIRST_WORD, PIECES, length).tolist() for length in lengths]
    sources = [(*sentence, EOS) for sentence in words]
    with gathered(made.runner(precision), sources, tolerance) as crowd:
        yield crowd


@pytest.fixture(scope="module")
def alone(setting: Setting) -> list[list[Path]]:
    return setting.alone()


def test_sentences_are_of_many_lengths(setting: Setting, alone: list[list[Path]]) -> None:
    """Or there would be nothing to confuse; some targets are longer than the room of one step."""
    lengths = {len(path.tokens) for paths in alone for path in paths}
    assert len(lengths) > 10
    assert max(lengths) > 40
    heads = {attention.kind: attention.heads for attention in setting.about.attention}
    for (path, *_), source in zip(alone, setting.sources, strict=True):
        assert path.attention.keys() == heads.keys()
        for kind, rows in path.attention.items():
            assert rows.size == len(path.tokens) * heads[kind] * len(source)
            np.testing.assert_allclose(rows.sum(axis=-1), 1, atol=1e-5)


def test_a_target_that_is_given_is_kept(setting: Setting, alone: list[list[Path]]) -> None:
    forced = range(FORCED - 1, setting.count, FORCED)
    for index in forced:
        (path,) = alone[index]
        assert path.tokens == (*given(setting.sources[index]), EOS)


def test_what_was_found_is_found_again_when_it_is_given(
    setting: Setting, alone: list[list[Path]]
) -> None:
    """Also what a beam has found, whose past went from row to row."""
    tolerance = max(setting.tolerance, 1e-5)  # a beam's scores are differences of sums
    for index, paths in enumerate(alone):
        for path in paths:
            target = path.tokens[: len(path.tokens) - path.finished]
            job = Job(setting.sources[index], Forced(setting.told(index), target))
            ((found,),) = asyncio.run(setting.engine.run([job]))
            check_equal([beginning(found, path)], [path], tolerance)


def beginning(found: Path, path: Path) -> Path:
    """As much of a forced path, which ends with `</s>`, as another has, which may be cut."""
    count = len(path.tokens)
    rows = {kind: matrix[:count] for kind, matrix in found.attention.items()}
    return Path(found.tokens[:count], found.scores[:count], rows, path.finished)


def test_one_batch_is_as_good_as_alone(setting: Setting, alone: list[list[Path]]) -> None:
    for found, expected in zip(setting.together(), alone, strict=True):
        check_equal(found, expected, setting.tolerance)


@pytest.mark.parametrize("seed", range(INTERLEAVINGS))
def test_any_joins_and_leaves_are_as_good_as_alone(
    setting: Setting, alone: list[list[Path]], seed: int
) -> None:
    check_interleaved(setting, alone, seed)
