"""The command line: `interlinea serve`, `interlinea version`."""

import logging
import math
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

    level = settings.log_level
    logging.basicConfig(
        level=logging.DEBUG if level == "trace" else level.upper(),
        format="%(levelname)s: %(name)s: %(message)s",
    )
    catalog = Catalog.load(settings)
    uvicorn.run(
        create_app(settings, lambda _: catalog),
        host=settings.host,
        port=settings.port,
        log_level=level,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
    )


def _stop(lines: tuple[str, ...], code: int) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(code)
