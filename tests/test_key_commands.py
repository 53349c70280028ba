"""`interlinea keys`: what it prints and where, and that servers see what it does."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.keys import KeyStore, Spent, month_of, public_of


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "keys.db"
    monkeypatch.setenv("INTERLINEA_KEYS", str(file))
    monkeypatch.setenv("COLUMNS", "200")
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def listed() -> Any:
    return json.loads(run("list", "--json").stdout)


def test_a_new_key_is_all_that_goes_to_standard_output(path: Path) -> None:
    result = run("create", "app")
    assert result.exit_code == 0
    secret = result.stdout.strip()
    assert public_of(secret) is not None
    assert "not shown again" in result.stderr
    with KeyStore(path) as store:
        (key,) = store.issued()
    assert key.public == public_of(secret)
    assert secret not in run("list").output + run("list", "--json").output


def test_terms_are_kept(path: Path) -> None:
    given = ["--admin", "--rate", "600", "--quota", "10000", "--expires", "2027-01-31"]
    made = json.loads(run("create", "boss", *given, "--json").stdout)
    assert public_of(made.pop("key")) == made["id"]
    assert listed() == [made]
    expected = {"name": "boss", "state": "active", "admin": True, "rate": 600, "quota": 10_000}
    assert {name: made[name] for name in expected} == expected
    assert made["expires"] == "2027-01-31T00:00:00+00:00"


@pytest.mark.parametrize(("text", "days"), [("90d", 90), ("2w", 14), ("48h", 2), ("1440m", 1)])
def test_a_key_may_expire_after_a_while(path: Path, text: str, days: int) -> None:
    made = json.loads(run("create", "app", "--expires", text, "--json").stdout)
    lives = datetime.fromisoformat(made["expires"]) - datetime.fromisoformat(made["created"])
    assert abs(lives.total_seconds() - days * 86_400) <= 2


def test_use_of_this_month_is_listed(path: Path) -> None:
    run("create", "[bold]app[/bold]", "--quota", "500")
    now = datetime.now(UTC).timestamp()
    with KeyStore(path) as store:
        store.add([Spent(1, month_of(now), 123, 45, 6)], now)
    table = run("list").output
    assert "[bold]app[/bold]" in table, "a name is no markup"
    assert "123" in table
    (key,) = listed()
    assert (key["characters"], key["work"], key["requests"]) == (123, 45, 6)


def test_a_key_is_revoked_by_its_name_or_its_beginning(path: Path) -> None:
    first = public_of(run("create", "first").stdout.strip())
    run("create", "second")
    result = run("revoke", "second")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Revoked second" in result.stderr
    assert json.loads(run("revoke", str(first), "--json").stdout)["name"] == "first"
    assert [key["state"] for key in listed()] == ["revoked", "revoked"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("revoke", "nobody"), 1, "no key that is not revoked is called 'nobody'"),
        (("create", "taken"), 1, "there is a key of the name 'taken' already"),
        (("create", " x"), 2, "1 to 64 visible characters"),
        (("create", "x\ty"), 2, "1 to 64 visible characters"),
        (("create", "x", "--expires", "soon"), 2, "90d, 12h or 2027-01-31"),
        (("create", "x", "--expires", "999999w"), 2, "90d, 12h or 2027-01-31"),
        (("create", "x", "--expires", "9999-12-31T23:59:59-12:00"), 2, "90d, 12h or 2027-01-31"),
        (("create", "x", "--rate", "0"), 2, "--rate"),
        (("create", "x", "--rate", "9" * 20), 2, "--rate"),
        (("create", "x", "--quota", "9" * 20), 2, "--quota"),
        (("create", "x", "--file", "no/such/folder/keys.db"), 1, "cannot be used"),
        (("list", "--file", "no/such/folder/keys.db"), 1, "does not exist"),
    ],
)
def test_what_cannot_be_done_is_said(
    path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    run("create", "taken")
    result = run(*arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert len(listed()) == 1


@pytest.mark.parametrize("arguments", [("list",), ("list", "--json"), ("revoke", "app")])
def test_only_create_makes_the_file(path: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.strip() == f"{path} does not exist; the first key that is created makes it"
    assert not path.exists()


def test_an_expired_key_is_listed_as_such(path: Path) -> None:
    run("create", "old", "--expires", "2020-01-01")
    assert listed()[0]["state"] == "expired"


def test_another_process_sees_the_same_file(path: Path) -> None:
    run("create", "app")
    command = [sys.executable, "-m", "service", "keys", "list", "--json"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == listed()


def test_without_a_file_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTERLINEA_KEYS", raising=False)
    result = run("list")
    assert result.exit_code == 2
    assert "INTERLINEA_KEYS" in result.stderr
