"""The command line: `interlinea serve`, `interlinea keys`, `interlinea version`."""

import gc
import signal
import sys
from typing import Annotated, NoReturn

import typer

from service import key_commands, logs
from service.errors import BundleError, KeysError
from service.keys import KeyStore
from service.settings import InvalidSettings, Settings, read_settings
from service.version import version as release

app = typer.Typer(
    help="Translations with their attention matrices and word alignments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(key_commands.app, name="keys")

SWITCH_SECONDS = 0.0005
GC_THRESHOLDS = (20_000, 20, 50)

FAILED = 1
MISUSED = 2


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on, instead of INTERLINEA_HOST.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on, instead of INTERLINEA_PORT.")
    ] = None,
) -> None:
    """Serve translations over HTTP; every setting is an INTERLINEA_* variable."""
    try:
        _serve(read_settings(host, port))
    except InvalidSettings as error:
        _stop(error.problems, MISUSED)
    except (BundleError, KeysError) as error:
        _stop((error.message,), FAILED)


@app.command()
def version() -> None:
    """Print the release."""
    typer.echo(release())


def _serve(settings: Settings) -> None:
    """Listen, load, and serve until a signal comes; raises what kept a bundle from being loaded."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it means something
    from service.app import create_app  # takes seconds, which other commands need not wait for
    from service.server import Server

    logs.configure(settings)
    if settings.keys is not None:
        KeyStore(settings.keys).close()  # a file that cannot be used is one line
    app = create_app(settings, waits=False)
    server = Server(app, app.state.life, settings, _tune_interpreter)
    server.run()
    if server.failure is not None:
        raise server.failure


def _tune_interpreter() -> None:
    """Let worker threads and the event loop take turns faster, and collect garbage seldom.

    A worker that comes back from the model waits for the interpreter lock while the event loop
    holds it: by default up to five milliseconds, twice as long as a step. What is loaded by
    now lives as long as the process, and answers are trees, which need no collector.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _stop(lines: tuple[str, ...], code: int) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(code)
