"""`python -m model_export`: one subcommand a stage, in the order of the chain."""

import random
from pathlib import Path
from typing import Annotated

import torch
import typer

from model_export import config, corpus, labels
from model_export import train as training
from model_export.run import Run, load_ragged, save_ragged
from model_export.subwords import train_subwords

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

RecipePath = Annotated[Path, typer.Argument(help="TOML recipe, see model_export/recipes/")]
Data = Annotated[Path, typer.Option(envvar="INTERLINEA_DATA", help="Folder of the corpora")]
Runs = Annotated[Path, typer.Option(envvar="INTERLINEA_RUNS", help="Folder of the runs")]
DATA, RUNS = Path("data"), Path("runs")


def open_run(recipe: Path, data: Path, runs: Path) -> Run:
    """Read the recipe and name its run folder."""
    read = config.read_recipe(recipe)
    return Run(read, data, runs / read.bundle.name)


@app.command()
def subwords(recipe: RecipePath, data: Data = DATA, runs: Runs = RUNS) -> None:
    """Train the subword models and encode the corpus with them."""
    run = open_run(recipe, data, runs)
    pairs = corpus.training_pairs(run.data, run.recipe.corpus)
    typer.echo(f"{len(pairs)} pairs")
    options = run.recipe.subwords
    train_subwords((p.source for p in pairs), options.size, options, run.source_model)
    train_subwords((p.target for p in pairs), options.size, options, run.target_model)
    source, target = run.tokenizers()
    rows = {
        "source": corpus.encode_texts(source, [p.source for p in pairs]),
        "target": corpus.encode_texts(target, [p.target for p in pairs]),
    }
    save_ragged(run.path("corpus.npz"), **rows)
    typer.echo(f"{rows['target'].starts[-1] / len(pairs):.1f} target tokens a pair")


@app.command(name="labels")
def make_labels(recipe: RecipePath, data: Data = DATA, runs: Runs = RUNS) -> None:
    """Align the training pairs with eflomal: the links that guide the attention."""
    run = open_run(recipe, data, runs)
    options = run.recipe.labels
    rows = load_ragged(run.path("corpus.npz"))
    wanted = set(options.more_corpora)
    more = [
        pair
        for pair in corpus.read_pairs(run.data, run.recipe.corpus.files)
        if pair.corpus in wanted and corpus.keep_pair(pair, run.recipe.corpus)
    ]
    random.Random(run.recipe.training.seed).shuffle(more)
    source, target = run.tokenizers()
    kept = more[: options.more_pairs]
    links = labels.label_links(
        labels.sequences([rows["source"], corpus.encode_texts(source, [p.source for p in kept])]),
        labels.sequences([rows["target"], corpus.encode_texts(target, [p.target for p in kept])]),
        len(rows["source"]),
        options.symmetrization,
    )
    save_ragged(run.path("links.npz"), links=links)
    typer.echo(f"{labels.coverage(links, rows['target']):.1%} of the target pieces are linked")


@app.command()
def train(
    recipe: RecipePath, data: Data = DATA, runs: Runs = RUNS, resume: bool = False
) -> None:
    """Train the model; `--resume` goes on exactly where the checkpoint stands."""
    run = open_run(recipe, data, runs)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training.train(run, device, resume)


if __name__ == "__main__":
    app()
