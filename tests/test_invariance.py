"""The same answer alone or in a crowd: what is served is equal to the last bit."""

from collections.abc import Iterator
from pathlib import Path as File

import pytest

from service.bundle import open_bundle
from service.hypotheses import Path, Source
from service.runner import Runner
from service.scheduler import LANES
from service.shelf import EMBEDDED
from service.units import Units
from tests.crowds import Setting, check_equal, check_interleaved, gathered

SENTENCES = File(__file__).parent / "sentences"
BUNDLES = sorted(folder for folder in EMBEDDED.iterdir() if (folder / "bundle.json").is_file())
COUNT = 200
KEPT = [
    "https://example.org/a?b=c",
    "{name}: 20,000 €, +33 1 23 45 67 89, me@example.org",
    "`ls -l` <b>{0}</b> 😀😀 %s",
]
"""What goes over as it is, whatever the language around it."""
INTERLEAVINGS = 20


@pytest.fixture(scope="module", params=BUNDLES, ids=lambda folder: str(folder.name))
def setting(request: pytest.FixtureRequest) -> Iterator[Setting]:
    bundle = open_bundle(request.param)
    code, units = bundle.manifest.source.code, Units(bundle)
    lines = (SENTENCES / f"{code}.txt").read_text(encoding="utf-8").splitlines()[:COUNT]
    assert len(lines) == COUNT
    joiner = bundle.manifest.source.joiner
    long = [joiner.join(lines[start : start + 24]) for start in (0, 60, 120)]
    made = [units.text(line, 0, "source") for line in (*lines, *long, *KEPT)]
    sources = [(*unit.encoded.ids, units.tokenizers["source"].eos) for unit in made]
    owed = [units.owing(Source(0, 0, 0, {}), unit).owed for unit in made]
    assert sum(len(source) > LANES[0] for source in sources) >= len(long)
    assert all(owed[-len(KEPT) :]), "what is kept is owed"
    runner = Runner(bundle.read, bundle.manifest.model)
    with gathered(runner, sources, owed=owed, known=units.stand_ins) as gathering:
        yield gathering


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
