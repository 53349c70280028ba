"""`python -m benchmarks`: one subcommand a question, `all` for every one.

A benchmark is imported when it is asked for, since each needs libraries of its own.
"""

from importlib import import_module
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Quick = Annotated[bool, typer.Option("--quick", help="Few rounds, to see that it runs.")]
EVERY = ("peers", "batches", "ceiling", "scales", "growth", "answers", "traffic")


@app.command()
def peers(quick: Quick = False) -> None:
    """The engine against CTranslate2, transformers, eager PyTorch and a plain loop."""
    run("peers", quick)


@app.command()
def batches(quick: Quick = False) -> None:
    """Continuous batching against closed batches, on real sentences."""
    run("batches", quick)


@app.command()
def ceiling(quick: Quick = False) -> None:
    """The share of a decoder step that is spent in matrix products."""
    run("ceiling", quick)


@app.command()
def scales(quick: Quick = False) -> None:
    """A decoder step with fixed scales, with dynamic ones, and in float32."""
    run("scales", quick)


@app.command()
def answers(quick: Quick = False) -> None:
    """A matrix as JSON, beside the model that made it."""
    run("answers", quick)


@app.command()
def growth(quick: Quick = False) -> None:
    """Time and memory as sentences get longer and more."""
    run("growth", quick)


@app.command()
def traffic(quick: Quick = False) -> None:
    """Latency and throughput over HTTP, against other ways to batch and other servers."""
    run("traffic", quick)


@app.command()
def record(quick: Quick = False) -> None:
    """BLEU against speed: our bundle, and a Transformer of its size, trained alike."""
    run("record", quick)


@app.command(name="all")
def everything(quick: Quick = False) -> None:
    """Every benchmark, one after another; those that lack a library are passed over."""
    for name in EVERY:
        try:
            run(name, quick)
        except ModuleNotFoundError as missing:
            typer.echo(f"{name}: skipped, there is no {missing.name}")


def run(name: str, quick: bool) -> None:
    """Import a benchmark and run it."""
    typer.secho(f"== {name}", bold=True)
    import_module(f"benchmarks.{name}").run(quick)


if __name__ == "__main__":
    app()
