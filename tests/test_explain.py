"""Pictures and the page of how attention formed, of what a run has written down."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from model_export import explain, watch
from tests.figures import PNG, curves, labels, matrices

KINDS = ("cross", "alignment")
PAIRS = ((("The", "cat", "</s>"), ("Le", "chat", "</s>")), (("$5", "</s>"), ("5", "</script>")))


@dataclasses.dataclass
class Pair:
    """A pair whose matrices tell by a number which moment they are of."""

    source: tuple[str, ...]
    target: tuple[str, ...]

    def seen(self, kinds: tuple[str, ...], value: float) -> dict[str, Any]:
        shape = len(self.target), len(self.source)
        rows = {kind: np.full(shape, value + at / 2).tolist() for at, kind in enumerate(kinds)}
        return {"source": list(self.source), "target": list(self.target), **rows}


def moments(count: int, kinds: tuple[str, ...] = KINDS) -> list[dict[str, Any]]:
    return [
        {
            "step": 10 * at,
            "pairs": [Pair(*pair).seen(kinds, at / 100) for pair in PAIRS],
            "gradients": {watch.CROSS: at + 1.0, watch.HEAD: at + 2.0, watch.REST: at + 3.0},
        }
        for at in range(count)
    ]


def written(folder: Path, some: list[dict[str, Any]]) -> Path:
    lines = [json.dumps(moment, ensure_ascii=False) + "\n" for moment in some]
    (folder / watch.FILE).write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 30])
def test_a_strip_goes_from_the_first_moment_to_the_last(count: int) -> None:
    steps = [moment["step"] for moment in explain.chosen(moments(count))]
    assert len(steps) == min(count, explain.STRIP)
    assert (steps[0], steps[-1]) == (0, 10 * (count - 1))
    assert steps == sorted(set(steps))


def test_every_pair_has_a_strip_and_all_share_a_page(tmp_path: Path) -> None:
    paths = explain.explain(written(tmp_path, moments(3)))
    names = ["explain-1.png", "explain-2.png", "explain-gradients.png", "explain.html"]
    assert [path.name for path in paths] == names
    for picture in paths[:-1]:
        assert picture.read_bytes().startswith(PNG)


def test_a_strip_shows_each_kind_at_each_moment(tmp_path: Path, drawn: list[Figure]) -> None:
    explain.explain(written(tmp_path, moments(3)))
    strip = drawn[0]
    titles = [axes.get_title() for axes in strip.axes]
    assert titles == ["step 0", "step 10", "step 20"] * 2
    expected = [0.0, 0.01, 0.02, 0.5, 0.51, 0.52]
    for matrix, value in zip(matrices(strip), expected, strict=True):
        assert matrix == pytest.approx(value)
        assert matrix.shape == (3, 3)
    assert labels(strip, 0) == (["The", "cat", "</s>"], ["Le", "chat", "</s>"])
    assert labels(strip, 1)[1] == ["", "", ""], "rows are named at the left"
    ylabels = [axes.get_ylabel() for axes in strip.axes if axes.get_ylabel()]
    assert ylabels == ["cross-attention", "alignment head"]


def test_what_a_model_lacks_is_not_drawn(tmp_path: Path, drawn: list[Figure]) -> None:
    explain.explain(written(tmp_path, moments(2, ("alignment",))))
    assert [len(strip.axes) for strip in drawn[:2]] == [2, 2]
    assert drawn[0].axes[0].get_ylabel() == "alignment head"


def test_gradients_are_drawn_against_steps(tmp_path: Path, drawn: list[Figure]) -> None:
    some = moments(3)
    some[1]["gradients"] = {}
    explain.explain(written(tmp_path, some))
    (axes,) = drawn[-1].axes
    assert curves(axes) == {
        watch.CROSS: [[0, 1], [20, 3]],
        watch.HEAD: [[0, 2], [20, 4]],
        watch.REST: [[0, 3], [20, 5]],
    }


def test_the_page_is_one_file_that_holds_every_moment(tmp_path: Path) -> None:
    """Whatever the pieces are: one of them would end the script, another is a placeholder."""
    some = moments(12)
    page = explain.explain(written(tmp_path, some))[-1].read_text(encoding="utf-8")
    start = '<script type="application/json" id="data">'
    assert json.loads(page.split(start)[1].split("</script>")[0]) == some
    assert page.count("</script>") == 2
    assert "http" not in page, "it needs nothing else"
    assert "$moments" not in page


def test_where_nothing_was_watched_there_is_nothing_to_explain(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=watch.FILE.replace(".", r"\.")):
        explain.explain(tmp_path)
