"""The command line: `interlinea serve`, `interlinea version`."""

import contextlib
import gc
import logging
import math
import sys
from typing import Annotated, NoReturn

import typer

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
        settings = read_settings(host, port)
    except InvalidSettings as error:
        _stop(error.problems, MISUSED)
    try:
        _serve(settings)
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
    from service.server import Server

    level = settings.log_level
    logging.basicConfig(
        level=logging.DEBUG if level == "trace" else level.upper(),
        format="%(levelname)s: %(name)s: %(message)s",
    )
    catalog = Catalog.load(settings)
    _tune_interpreter()
    application = create_app(settings, lambda _: catalog)
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        log_level=level,
        access_log=level in ("debug", "trace"),  # a line costs as much as reading a request
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
    )
    with contextlib.suppress(KeyboardInterrupt):  # which comes again once all has ended
        Server(config, application.state.drain).run()


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
