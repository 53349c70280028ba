"""What the commands are given: a recipe, and where data, runs and bundles are."""

from pathlib import Path
from typing import Annotated

import torch
import typer

from model_export.recipe import read_recipe
from model_export.run import Run

RecipePath = Annotated[Path, typer.Argument(help="TOML recipe, see model_export/recipes/")]
Data = Annotated[Path, typer.Option(envvar="INTERLINEA_DATA", help="Folder of the corpora")]
Runs = Annotated[Path, typer.Option(envvar="INTERLINEA_RUNS", help="Folder of the runs")]
DATA, RUNS = Path("data"), Path("runs")
BUNDLES = Path(__file__).parents[1] / "service" / "bundles"
BundlesFolder = Annotated[Path, typer.Option(help="Folder of the bundles")]


def open_run(recipe: Path, data: Path, runs: Path) -> Run:
    """Read the recipe and name its run folder."""
    read = read_recipe(recipe)
    return Run(read, data, runs / read.bundle.name)


def reverse_of(run: Run, bundles: Path) -> Path:
    """Return where the bundle of the other direction is, if there is one."""
    sides = run.recipe.bundle
    return bundles / f"{sides.target.code}-{sides.source.code}"


def any_device() -> torch.device:
    """Return where to train: on a GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
