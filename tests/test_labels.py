"""Word links: both directions merged, and the aligner as a program that may be missing or fail."""

import sys
from pathlib import Path

import pytest

from model_export import labels
from model_export.corpus import Ragged
from model_export.labels import AlignerError

ALIGNER = """#!{python}
import sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
sources = [line.split() for line in open(options["-s"], encoding="utf-8")]
targets = [line.split() for line in open(options["-t"], encoding="utf-8")]
assert options["--model"] == "3" and "--overwrite" in sys.argv
{body}
with open(options["-f"], "w") as forward, open(options["-r"], "w") as backward:
    for source, target in zip(sources, targets):
        same = [(s, t) for s, a in enumerate(source) for t, b in enumerate(target) if a == b]
        print(*(f"{{s}}-{{t}}" for s, t in same), file=forward)
        print(*(f"{{s}}-{{t}}" for s, t in [*same, (0, len(target) - 1)]), file=backward)
"""


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, body: str = "") -> Path:
    """Put a stand-in aligner, which links equal ids, beside the interpreter."""
    program = folder / "eflomal-align"
    program.write_text(ALIGNER.format(python=sys.executable, body=body), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return program


def rows() -> tuple[Ragged, Ragged]:
    return Ragged.of([[7, 8, 9], [5], [4, 4]]), Ragged.of([[9, 6, 7, 3], [5], [4]])


def label(symmetrization: str) -> Ragged:
    (links,) = labels.label_links(*rows(), symmetrization)
    return links


def test_both_directions_are_merged_and_packed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path)
    found = label("intersection")
    assert [found[i].tolist() for i in range(3)] == [[2, 2 << 16], [0], [0, 1 << 16]]
    grown = label("grow-diag")
    assert grown[0].tolist() == [2, 3, 2 << 16]  # 0-3 came from one direction, beside 0-2


def test_an_aligner_on_the_path_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(sys, "executable", str(elsewhere / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(label("intersection")) == 3


def test_a_missing_aligner_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AlignerError, match=r"not installed.*pip install"):
        label("intersection")


def test_a_failed_aligner_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "sys.exit('out of memory')")
    with pytest.raises(AlignerError, match="failed: out of memory"):
        label("intersection")


def test_an_aligner_that_cannot_start_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path).write_text("#!/no/such/interpreter\n", encoding="utf-8")
    with pytest.raises(AlignerError, match="cannot be started"):
        label("intersection")


def test_a_short_answer_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "targets = targets[:2]")
    with pytest.raises(AlignerError, match="answered 2 of 3 pairs"):
        label("intersection")


def test_coverage_counts_linked_target_pieces() -> None:
    links = Ragged.of([[0 << 16 | 1, 2 << 16 | 1], [0], []])
    assert labels.coverage(links, Ragged.of([[1, 2, 3], [4], [5]])) == pytest.approx(2 / 5)
    assert labels.coverage(Ragged.of([]), Ragged.of([])) == 0.0
