"""The servers that are put under stress: one as it is, and one that fails when it is told to."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import SHIPPED
from tests.stress import disconnects, faults, fuzz
from tests.stress.process import Process

QUEUE = 12


@pytest.fixture(scope="package")
def server() -> Iterator[Process]:
    """The shipped bundle, few rows, and little patience with the slow."""
    with Process({**disconnects.SETTINGS, **fuzz.SETTINGS}) as process:
        yield process


@dataclass(frozen=True, slots=True)
class Faulty:
    """A server that can be told to fail, and the folder of its bundle."""

    process: Process
    bundle: Path


@pytest.fixture(scope="package")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """The shipped bundle in a folder of ours, over a runtime of ours, and a short queue."""
    bundles = tmp_path_factory.mktemp("faulty")
    bundle = bundles / SHIPPED.name
    shutil.copytree(SHIPPED, bundle)
    settings = {"BUNDLES": str(bundles), "RELOAD": "true", "QUEUE_SENTENCES": str(QUEUE)}
    with Process({**disconnects.SETTINGS, **settings}, faults.FAULTY) as process:
        yield Faulty(process, bundle)
