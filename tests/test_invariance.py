"""The same answer alone or in a crowd: what is served is equal to the last bit."""

from collections.abc import Iterator
from pathlib import Path as File

import pytest

from service.bundle import open_bundle
from service.hypotheses import Path
from service.runner import Runner
from service.shelf import EMBEDDED
from service.tokenizer import Tokenizer
from tests.crowds import Setting, check_equal, check_interleaved, gathered

SENTENCES = File(__file__).parent / "sentences"
BUNDLES = sorted(folder for folder in EMBEDDED.iterdir() if (folder / "bundle.json").is_file())
COUNT = 200
INTERLEAVINGS = 20


@pytest.fixture(scope="module", params=BUNDLES, ids=lambda folder: str(folder.name))
def setting(request: pytest.FixtureRequest) -> Iterator[Setting]:
    bundle = open_bundle(request.param)
    tokenizer = Tokenizer(bundle.path(bundle.manifest.source.tokenizer))
    text = (SENTENCES / f"{bundle.manifest.source.code}.txt").read_text(encoding="utf-8")
    sources = [(*tokenizer.encode(line).ids, tokenizer.eos) for line in text.splitlines()[:COUNT]]
    assert len(sources) == COUNT
    with gathered(Runner(bundle.read, bundle.manifest.model), sources) as made:
        yield made


@pytest.fixture(scope="module")
def alone(setting: Setting) -> list[list[Path]]:
    return setting.alone()


def test_one_batch_is_as_good_as_alone(setting: Setting, alone: list[list[Path]]) -> None:
    for found, expected in zip(setting.together(), alone, strict=True):
        check_equal(found, expected, setting.tolerance)


@pytest.mark.parametrize("seed", range(INTERLEAVINGS))
def test_any_joins_and_leaves_are_as_good_as_alone(
    setting: Setting, alone: list[list[Path]], seed: int
) -> None:
    check_interleaved(setting, alone, seed)
