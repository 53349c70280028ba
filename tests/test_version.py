"""The release is a version, installed or not."""

from importlib import metadata

import pytest

from service.version import version


def test_the_release_is_the_installed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: {"interlinea": "3.2.1"}[name])
    assert version() == "3.2.1"


def test_code_that_is_not_installed_has_a_release_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert version() == "0"
