"""The commands that make no bundle: they compare, explain, draw and measure."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from model_export import alarms, compared, intact, pictures
from model_export import compare as comparing
from model_export import evaluate as evaluating
from model_export import explain as explaining
from model_export.arguments import DATA, RUNS, Data, RecipePath, Runs, any_device, open_run
from service.bundle import open_bundle
from service.translator import Translator

app = typer.Typer()


@app.command()
def compare(
    recipe: RecipePath,
    data: Data = DATA,
    runs: Runs = RUNS,
    only: Annotated[list[str] | None, typer.Option(help="A mechanism; all if left out")] = None,
) -> None:
    """Train every attention and network on one small sample, and print one table of them.

    The recipe's subwords and labels must have been made. What was measured before is kept.
    """
    run = open_run(recipe, data, runs)
    device = any_device()
    rows = comparing.compare(run, only or (), device, typer.echo)
    header, *body = compared.table(rows)
    shown = Table(*header)
    for line in body:
        shown.add_row(*line)
    Console(width=120).print(shown)
    for picture in compared.draw(run, rows):
        typer.echo(str(picture))


@app.command()
def explain(
    folder: Annotated[Path, typer.Argument(help="Folder of a run whose recipe has `watched`")],
) -> None:
    """Draw how attention formed while a run trained: pictures, and a page that moves."""
    for path in explaining.explain(folder):
        typer.echo(str(path))


@app.command()
def draw(
    bundle: Annotated[Path, typer.Argument(help="Folder of a sealed bundle")],
    text: Annotated[str, typer.Argument(help="A sentence to translate")],
    out: Annotated[Path, typer.Option(help="Picture to write")] = Path("attention.png"),
) -> None:
    """Draw cross-attention and alignment head of a sentence, as a sealed bundle translates it."""
    translator = Translator(open_bundle(bundle), evaluating.CAPACITY)
    typer.echo(str(pictures.draw_translation(translator, text, out)))
    translator.close(0.0)


@app.command(name="damage")
def measure_damage(
    bundle: Annotated[Path, typer.Argument(help="Folder of a sealed bundle")],
    data: Data = DATA,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Pairs; half of the first set tunes")
    ] = None,
    pairs: Annotated[int, typer.Option(help="Most pairs of a set")] = alarms.PAIRS,
    seed: int = alarms.SEED,
) -> None:
    """Damage pairs on purpose, and measure how often the service's warnings find it."""
    translator = Translator(open_bundle(bundle), evaluating.CAPACITY)
    names = sets or alarms.sets_of(translator.manifest)
    if not names:
        raise typer.BadParameter("there is no set in these languages: name some with --set")
    read = {name: alarms.read_set(data, name, translator.manifest) for name in names}
    first, *others = names
    tuning, rest = alarms.halves(read[first])
    measured = {first: rest, **{name: read[name] for name in others}}
    best = alarms.thresholds(translator, alarms.sample(tuning, pairs, seed))
    typer.echo(
        f"thresholds by the first half of {first}: "
        f"omission {best.omission:.3f}, hallucination {best.hallucination:.3f}"
    )
    rows = [
        row
        for name, found in measured.items()
        for row in alarms.measure(translator, name, alarms.sample(found, pairs, seed), seed)
    ]
    translator.close(0.0)
    Console(width=120).print(alarms.table(rows))


@app.command(name="intact")
def measure_intact(
    bundle: Annotated[Path, typer.Argument(help="Folder of a sealed bundle")],
    count: Annotated[int, typer.Option(help="Sentences of each kind")] = intact.SENTENCES,
    seed: int = intact.SEED,
    lost: Annotated[bool, typer.Option(help="Print what lost something, too")] = False,
) -> None:
    """Translate made-up sentences, and measure how often numbers, names and code come over."""
    opened = open_bundle(bundle)
    given = intact.sentences(opened.manifest.source.code, count, seed)
    translator = Translator(opened, evaluating.CAPACITY)
    rows = list(intact.measure(translator, given))
    translator.close(0.0)
    Console(width=120).print(intact.table(rows))
    for row in rows if lost else ():
        for source, translation in row.lost:
            typer.echo(f"{row.kind}: {source} -> {translation}")
