"""`make model` and what it does after a crash, with a stand-in for the stages themselves."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAND_IN = """#!/bin/sh
shift 2  # -m model_export
echo "$*" >> "$(dirname "$0")/../calls"
[ "$1" != "$FAILS" ]
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


class Make:
    """Runs `make model` with a recipe of its own, and tells which stages were called."""

    def __init__(self, folder: Path) -> None:
        self.recipe = folder / "toy.toml"
        self.recipe.write_text("a recipe", encoding="utf-8")
        self._folder = folder
        python = folder / "bin" / "python"
        python.parent.mkdir()
        python.write_text(STAND_IN, encoding="utf-8")
        python.chmod(0o755)

    def model(self, *variables: str, fails: str = "") -> tuple[int, list[str]]:
        """Return the exit status, and the stages with their options."""
        calls = self._folder / "calls"
        calls.unlink(missing_ok=True)
        done = subprocess.run(
            [
                *("make", "-o", ".venv-dev/.ready", "-o", ".venv-dev/.labels", "model"),
                *(f"DEV={self._folder}/bin", f"RECIPE={self.recipe}", *variables),
            ],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "INTERLINEA_RUNS": str(self._folder / "runs"),
                "FAILS": fails,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
        return done.returncode, [line.removesuffix(f" {self.recipe}") for line in lines]


STAGES = ["subwords", "labels", "train", "export", "distil", "refine", "sharpen"]
STAGES += ["export", "verify", "evaluate", "seal"]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return Make(tmp_path)


def test_all_stages_are_run_and_the_first_that_fails_is_the_last(make: Make) -> None:
    assert make.model() == (0, STAGES)
    status, called = make.model(fails="refine")
    assert status
    assert called == STAGES[:6]
    assert make.model("STAGES=export seal") == (0, ["export", "seal"])


@pytest.mark.parametrize("stage", ["subwords", "train", "distil", "refine", "verify"])
def test_after_a_crash_it_goes_on_with_what_was_interrupted(make: Make, stage: str) -> None:
    make.model(fails=stage)
    at = STAGES.index(stage)
    option = " --resume" if stage in ("train", "distil", "refine") else ""
    assert make.model("RESUME=1") == (0, [stage + option, *STAGES[at + 1 :]])
    assert make.model("RESUME=1") == (0, []), "all is done"


def test_it_may_crash_again(make: Make) -> None:
    make.model(fails="train")
    for _ in range(2):
        assert make.model("RESUME=1", fails="train")[1] == ["train --resume"]
    assert make.model("RESUME=1", fails="refine")[1] == ["train --resume", *STAGES[3:6]]
    assert make.model("RESUME=1")[1] == ["refine --resume", *STAGES[6:]]


def test_what_it_did_not_begin_is_not_gone_on_with(make: Make) -> None:
    status, called = make.model("RESUME=1")
    assert (bool(status), called) == (True, []), "labels made anew would begin training afresh"
    make.model(fails="refine")
    status, called = make.model("RESUME=1", "STAGES=subwords train")
    assert (bool(status), called) == (True, [])
    make.recipe.write_text("another recipe", encoding="utf-8")
    status, called = make.model("RESUME=1")
    assert (bool(status), called) == (True, [])
