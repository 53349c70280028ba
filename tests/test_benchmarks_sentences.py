import gzip
from pathlib import Path

import pytest

from benchmarks import sentences


def test_own_sentences_where_there_is_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTERLINEA_DATA", str(tmp_path))
    count = len(sentences.OWN)
    read = sentences.read(2 * count)
    assert read[:count] == read[count:]
    assert set(read) == set(sentences.OWN)
    assert "our own" in capsys.readouterr().out
    assert "our own" in sentences.origin()


def test_the_first_column_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / sentences.NAME
    path.parent.mkdir()
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.write("One.\tUn.\nTwo.\tDeux.\n")
    monkeypatch.setenv("INTERLINEA_DATA", str(tmp_path))
    assert sorted(sentences.read(2)) == ["One.", "Two."]
    assert sentences.NAME in capsys.readouterr().out
    assert sentences.origin() == f"2 of {sentences.NAME}"
