"""The command line: what it starts, and how it fails."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from service import cli
from service.cli import app
from service.errors import UnsealedBundle
from service.life import Life
from service.settings import Settings
from service.version import version


def test_version() -> None:
    result = CliRunner().invoke(app, ["version"])
    assert (result.exit_code, result.output) == (0, f"{version()}\n")


def test_python_m_service_is_the_same_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "service", "version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"{version()}\n"


def test_bad_settings_are_one_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLINEA_SLOTS", "many")
    monkeypatch.setenv("INTERLINEA_MAX_BEAM", "0")
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["INTERLINEA_SLOTS", "INTERLINEA_MAX_BEAM"]


class FakeServer:
    """Notes what it was made of, and ends at once."""

    ran: ClassVar[list[Any]] = []
    fails: ClassVar[BaseException | None] = None

    def __init__(
        self, app: FastAPI, life: Life, settings: Settings, loaded: Callable[[], None]
    ) -> None:
        self.failure = self.fails
        self.ran.append((app, life, settings, loaded))

    def run(self) -> None:
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, "until it means something"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeServer]]:
    before = signal.getsignal(signal.SIGHUP)
    monkeypatch.setattr("service.server.Server", FakeServer)
    monkeypatch.setattr(FakeServer, "ran", [])
    yield FakeServer
    signal.signal(signal.SIGHUP, before)


def test_a_bundle_that_cannot_be_served_is_one_line(
    server: type[FakeServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "fails", UnsealedBundle("en-fr has no manifest"))
    result = CliRunner().invoke(app, ["serve"])
    assert (result.exit_code, result.stderr) == (1, "en-fr has no manifest\n")


def test_a_fault_of_the_server_is_not_hidden(
    server: type[FakeServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "fails", ZeroDivisionError())
    assert isinstance(CliRunner().invoke(app, ["serve"]).exception, ZeroDivisionError)


def test_a_file_of_keys_that_cannot_be_used_is_one_line(
    server: type[FakeServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INTERLINEA_KEYS", str(tmp_path))
    result = CliRunner().invoke(app, ["serve"])
    assert not server.ran, "it is opened first"
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert str(tmp_path) in result.stderr


def test_serve_runs_the_application(
    server: type[FakeServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLINEA_HOST", "10.0.0.1")
    monkeypatch.setenv("INTERLINEA_GRACE_SECONDS", "2.5")
    result = CliRunner().invoke(app, ["serve", "--port", "9001"])
    assert result.exit_code == 0, result.output
    ((application, life, settings, loaded),) = server.ran
    assert application.title == "Interlinea"
    assert application.state.life is life
    assert (settings.host, settings.port, settings.grace_seconds) == ("10.0.0.1", 9001, 2.5)
    assert loaded is cli._tune_interpreter
