"""The command line: `interlinea serve`, `interlinea version`."""

import gc
import math
import sys
from typing import Annotated, NoReturn

import typer

from service import logs
from service.errors import BundleError
from service.settings import InvalidSettings, Settings, read_settings
from service.version import version as release

app = typer.Typer(
    help="Translations with their attention matrices and word alignments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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
    except BundleError as error:
        _stop((error.message,), FAILED)


@app.command()
def version() -> None:
    """Print the release."""
    typer.echo(release())


def _serve(settings: Settings) -> None:
    """Load first, so that a bundle that cannot be served is one line and not a traceback."""
    import uvicorn  # these take seconds, which other commands need not wait for

    from service.app import create_app
    from service.catalog import Catalog

    logs.configure(settings)
    application = create_app(settings, lambda _: catalog)  # refuses settings that cannot work
    catalog = Catalog.load(settings)
    _tune_interpreter()
    uvicorn.run(
        application,
        host=settings.host,
        port=settings.port,
        log_config=None,  # as `logs` configured it
        log_level=settings.log_level,
        access_log=False,  # its lines hold queries, and so texts
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
    )


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
