"""The same answer alone or in a crowd, whatever the network: also where its state grows."""

from collections.abc import Iterator

import numpy as np
import pytest

from model_export.subwords import EOS
from service.hypotheses import Path
from tests.architectures import ARCHITECTURES, FIRST_WORD, PIECES, exported
from tests.crowds import Setting, check_equal, check_interleaved, gathered

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
COUNT = 60
INTERLEAVINGS = 3
LONGEST = 50


@pytest.fixture(scope="module", params=NETWORKS)
def setting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setting]:
    made = exported(ARCHITECTURES[request.param], tmp_path_factory.mktemp("network"))
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.geometric(0.08, COUNT), LONGEST).tolist()
    words = [rng.integers(FIRST_WORD, PIECES, length).tolist() for length in lengths]
    with gathered(made.runner("int8"), [(*sentence, EOS) for sentence in words]) as crowd:
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
        for rows in path.attention.values():
            assert rows.shape[-1] == len(source)


def test_one_batch_is_as_good_as_alone(setting: Setting, alone: list[list[Path]]) -> None:
    for found, expected in zip(setting.together(), alone, strict=True):
        check_equal(found, expected)


@pytest.mark.parametrize("seed", range(INTERLEAVINGS))
def test_any_joins_and_leaves_are_as_good_as_alone(
    setting: Setting, alone: list[list[Path]], seed: int
) -> None:
    check_interleaved(setting, alone, seed)
