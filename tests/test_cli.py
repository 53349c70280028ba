"""The command line: what it starts, and how it fails."""

import subprocess
import sys
from typing import Any

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from service.catalog import Catalog
from service.cli import app
from service.errors import UnsealedBundle
from service.server import Server
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


def test_a_bundle_that_cannot_be_served_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: Settings) -> Catalog:
        raise UnsealedBundle("en-fr has no manifest")

    monkeypatch.setattr(Catalog, "load", load)
    result = CliRunner().invoke(app, ["serve"])
    assert (result.exit_code, result.stderr) == (1, "en-fr has no manifest\n")


def test_serve_runs_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: dict[str, Any] = {}

    def run(server: Server) -> None:
        config = server.config
        assert isinstance(config.app, FastAPI)
        ran.update(title=config.app.title, host=config.host, port=config.port)
        ran.update(log_level=config.log_level, access_log=config.access_log)
        ran.update(timeout_graceful_shutdown=config.timeout_graceful_shutdown)

    monkeypatch.setattr(Catalog, "load", lambda settings: None)
    monkeypatch.setattr(Server, "run", run)
    monkeypatch.setattr("service.cli._tune_interpreter", lambda: ran.update(tuned=True))
    monkeypatch.setenv("INTERLINEA_HOST", "10.0.0.1")
    monkeypatch.setenv("INTERLINEA_GRACE_SECONDS", "2.5")
    result = CliRunner().invoke(app, ["serve", "--port", "9001"])
    assert result.exit_code == 0, result.output
    assert ran == {
        "title": "Interlinea",
        "host": "10.0.0.1",
        "port": 9001,
        "tuned": True,
        "log_level": "info",
        "access_log": False,
        "timeout_graceful_shutdown": 3,
    }
