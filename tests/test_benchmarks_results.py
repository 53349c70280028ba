import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import machine, results


def test_a_file_says_what_was_found_on_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    found = {"speed": np.float32(1.5), "counts": np.arange(2)}
    content = json.loads(results.write("speed", found).read_text(encoding="utf-8"))
    assert content["benchmark"] == "speed"
    assert content["results"] == {"speed": 1.5, "counts": [0, 1]}
    assert content["machine"]["cores"] == machine.describe()["cores"]


def test_a_quick_run_never_writes_over_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["benchmarks", "peers", "--quick"])
    assert results.write("peers", {}) == tmp_path / "quick" / "peers.json"


def test_what_is_no_figure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    with pytest.raises(TypeError, match="object"):
        results.write("speed", {"speed": object()})


def test_the_command_names_no_folder_of_this_machine() -> None:
    command = results.command(["peers", "--quick", "--out=/some/where/x.json", "/else/where/y"])
    assert command == "python -m benchmarks peers --quick --out=x.json y"


def test_flags_that_matter_are_found() -> None:
    assert machine.simd("fpu avx2 avx512_vnni_other avx512_vnni") == ["avx2", "avx512_vnni"]
