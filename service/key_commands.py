"""`interlinea keys`: makes, lists and revokes the keys of a file, also while servers use it."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.errors import KeysError
from service.keys import Key, KeyStore, Standing, Terms, month_of

app = typer.Typer(
    help="The keys of the file that INTERLINEA_KEYS names.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

MOST = 10**15
UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}

File = Annotated[
    Path, typer.Option(envvar="INTERLINEA_KEYS", help="The file of the keys.", dir_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _moment(text: str) -> float:
    """Read `90d`, `12h` or `2027-01-31`; seconds since 1970."""
    try:
        if found := re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text):
            at = datetime.now(UTC) + timedelta(seconds=int(found[1]) * UNITS[found[2]])
        else:
            at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise typer.BadParameter("give a time such as 90d, 12h or 2027-01-31") from None


def _name(text: str) -> str:
    """Refuse what would garble a list."""
    if not 1 <= len(text) <= 64 or not text.isprintable() or text != text.strip():
        raise typer.BadParameter("give 1 to 64 visible characters")
    return text


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(help="What the key is called; for people.", callback=_name)
    ],
    file: File,
    admin: Annotated[bool, typer.Option("--admin", help="Let it change the server.")] = False,
    rate: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Work for each minute, in tokens; else no bound."),
    ] = None,
    quota: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Characters for each month; else no bound."),
    ] = None,
    expires: Annotated[
        float | None,
        typer.Option(parser=_moment, metavar="WHEN", help="90d, 12h or 2027-01-31 (UTC)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it is shown this once."""
    with _store(file, make=True) as store:
        issued = store.create(name, Terms(admin, rate, quota, expires), time.time())
    if as_json:
        _print_json({**_told(issued.key, Standing()), "key": issued.secret})
        return
    typer.echo("Keep this key; it is not shown again.", err=True)
    typer.echo(issued.secret)


@app.command("list")
def list_keys(file: File, as_json: AsJson = False) -> None:
    """List all keys, and what they used this month."""
    with _store(file) as store:
        standings = store.standings(month_of(time.time()))
        told = [_told(key, standings.get(key.id, Standing())) for key in store.issued()]
    if as_json:
        _print_json(told)
    else:
        Console().print(_table(told))


@app.command()
def revoke(
    which: Annotated[str, typer.Argument(help="Its name, or the eight characters after il_.")],
    file: File,
    as_json: AsJson = False,
) -> None:
    """Revoke a key for good; servers know it within two seconds."""
    with _store(file) as store:
        key = store.revoke(which, time.time())
        standing = store.standings(month_of(time.time())).get(key.id, Standing())
    if as_json:
        _print_json(_told(key, standing))
    else:
        typer.echo(f"Revoked {key.name} (il_{key.public}_...).", err=True)


@contextmanager
def _store(file: Path, make: bool = False) -> Iterator[KeyStore]:
    try:
        with KeyStore(file, make=make) as store:
            yield store
    except KeysError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from None


def _told(key: Key, standing: Standing) -> dict[str, object]:
    """What may be told of a key, ready for JSON."""
    return {
        "id": key.public,
        "name": key.name,
        "state": _state(key),
        "admin": key.terms.admin,
        "rate": key.terms.rate,
        "quota": key.terms.quota,
        "created": _date(key.created),
        "expires": _date(key.terms.expires),
        "revoked": _date(key.revoked),
        "characters": standing.characters,
        "work": standing.work,
        "requests": standing.requests,
    }


def _state(key: Key) -> str:
    if key.revoked is not None:
        return "revoked"
    expires = key.terms.expires
    return "expired" if expires is not None and expires <= time.time() else "active"


def _date(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _table(told: list[dict[str, object]]) -> Table:
    """Show what there is room for: `--json` tells the rest."""
    columns = ("name", "id", "state", "rate", "quota", "characters", "expires")
    table = Table(*columns, box=None, header_style="bold")
    for one in told:
        cells = {name: "" if one[name] is None else str(one[name]) for name in columns}
        cells["state"] += ", admin" if one["admin"] else ""
        cells["expires"] = cells["expires"].partition("T")[0]
        table.add_row(*map(Text, cells.values()))  # a name is no markup
    return table


def _print_json(content: object) -> None:
    typer.echo(json.dumps(content, ensure_ascii=False, indent=1))
