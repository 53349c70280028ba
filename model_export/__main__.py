"""`python -m model_export`: one subcommand a stage, in the order of the chain; then `studies`."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from model_export import (
    carrying,
    config,
    corpus,
    distil,
    draft,
    intact,
    known,
    labels,
    pictures,
    studies,
)
from model_export import evaluate as evaluating
from model_export import restore as restoring
from model_export import seal as sealing
from model_export import sharpen as sharpening
from model_export import train as training
from model_export import verify as verifying
from model_export.agreement import agreed_links
from model_export.arguments import (
    BUNDLES,
    DATA,
    RUNS,
    BundlesFolder,
    Data,
    RecipePath,
    Runs,
    any_device,
    open_run,
    reverse_of,
)
from model_export.backtranslation import back_translate
from model_export.export import Precision
from model_export.lexicon import learn_words
from model_export.run import Run, load_ragged, save_ragged
from model_export.subwords import train_subwords
from service.bundle import open_bundle
from service.errors import BundleError, RequestError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(studies.app)

PRECISIONS: tuple[Precision, ...] = ("int8", "fp32")
MENDABLE = (
    config.RecipeError,
    corpus.CorpusError,
    labels.AlignerError,
    sealing.SealError,
    sharpening.SharpenError,
    distil.DistilError,
    draft.DraftError,
    intact.LanguageError,
    restoring.RestoreError,
    BundleError,
    RequestError,
)
"""What a person can mend, besides a missing file; anything else is a bug."""


@app.command()
def subwords(
    recipe: RecipePath,
    data: Data = DATA,
    runs: Runs = RUNS,
    keep: Annotated[
        bool, typer.Option(help="Keep the models and the words that are there")
    ] = False,
) -> None:
    """Train the subword models and encode the corpus with them."""
    run = open_run(recipe, data, runs)
    pairs = corpus.training_pairs(run.data, run.recipe.corpus)
    shares = corpus.shares(pairs, run.recipe.corpus)
    epoch = corpus.draw(shares, np.random.default_rng(run.recipe.training.seed)).tolist()
    typer.echo(f"{len(pairs)} pairs, {len(epoch)} an epoch")
    options = run.recipe.subwords
    source, target = run.recipe.bundle.source, run.recipe.bundle.target
    sources, targets = (pairs[i].source for i in epoch), (pairs[i].target for i in epoch)
    if not keep:
        train_subwords(sources, options.size, options, source, run.source_model)
        train_subwords(targets, options.size, options, target, run.target_model)
    known.write(run, pairs, shares, keep)
    encode_corpus(run, pairs)


def encode_corpus(run: Run, pairs: Sequence[corpus.Pair]) -> None:
    """Encode the training pairs with the run's subword models."""
    source, target = run.tokenizers()
    learnt = carrying.carried(pairs, run.recipe)
    rows = {
        "source": corpus.encode_texts(source, [p.source for p in learnt]),
        "target": corpus.encode_texts(target, [p.target for p in learnt]),
    }
    save_ragged(run.path("corpus.npz"), **rows)
    shares = corpus.shares(pairs, run.recipe.corpus)
    np.save(run.path("shares.npy"), shares, allow_pickle=False)
    typer.echo(f"{rows['target'].starts[-1] / len(pairs):.1f} target tokens a pair")


@app.command(name="labels")
def make_labels(recipe: RecipePath, data: Data = DATA, runs: Runs = RUNS) -> None:
    """Align the training pairs with eflomal: the links that guide the attention."""
    run = open_run(recipe, data, runs)
    options = run.recipe.labels
    rows = load_ragged(run.path("corpus.npz"))
    ways = options.symmetrization, run.recipe.sharpening.symmetrization
    links, bolder = labels.label_links(rows["source"], rows["target"], *ways)
    save_ragged(run.path("links.npz"), links=links)
    save_ragged(run.path(sharpening.FILE), links=bolder)  # a recipe may sharpen later
    typer.echo(f"{labels.coverage(links, rows['target']):.1%} of the target pieces are linked")


@app.command()
def train(recipe: RecipePath, data: Data = DATA, runs: Runs = RUNS, resume: bool = False) -> None:
    """Train the model; `--resume` goes on exactly where the checkpoint stands, if there is one."""
    run = open_run(recipe, data, runs)
    device = any_device()
    training.train(run, device, resume, report=typer.echo)
    typer.echo(f"learning curve: {pictures.draw_curve(run)}")
    typer.echo(f"attentions: {pictures.draw_attentions(run, training.load_model(run))}")


@app.command()
def export(recipe: RecipePath, data: Data = DATA, runs: Runs = RUNS) -> None:
    """Write the ONNX graphs in both precisions."""
    run = open_run(recipe, data, runs)
    model = training.load_model(run)
    for precision, folder in draft.write(run, model, PRECISIONS).items():
        size = sum(path.stat().st_size for path in folder.iterdir())
        typer.echo(f"{precision}: {folder}, {size / 1e6:.1f} MB")


@app.command(name="distil")
def make_distilled(
    recipe: RecipePath,
    data: Data = DATA,
    runs: Runs = RUNS,
    bundles: BundlesFolder = BUNDLES,
    teacher: Annotated[
        list[Path] | None, typer.Option(help="Another bundle of this direction to learn from too")
    ] = None,
    resume: bool = False,
) -> None:
    """Translate texts with the exported model by beam search, for `refine` to learn from.

    Texts of the target language are translated back by the bundle of the other direction.
    """
    run = open_run(recipe, data, runs)
    options = run.recipe.refinement
    if options.steps:
        if not resume:
            run.path(distil.CHOSEN).unlink(missing_ok=True)
        pairs = distil.distil(run, [open_bundle(path) for path in teacher or ()], typer.echo)
        if options.back_corpora or options.back_pairs:
            pairs += back_translate(run, reverse_of(run, bundles), typer.echo)
        if options.lexica:
            pairs += learn_words(run, reverse_of(run, bundles), typer.echo)
        distil.save(run, pairs)
        typer.echo(f"{len(pairs)} distilled pairs")


@app.command()
def refine(
    recipe: RecipePath,
    data: Data = DATA,
    runs: Runs = RUNS,
    resume: bool = False,
    again: Annotated[
        bool, typer.Option(help="Begin with the refined weights, not with those of `train`")
    ] = False,
) -> None:
    """Train on with the distilled pairs; the weights are kept if the dev score rises."""
    if resume and again:
        raise typer.BadParameter("--again begins a refinement, --resume goes on with one")
    run = open_run(recipe, data, runs)
    if not run.recipe.refinement.steps:
        return
    device = any_device()
    refined = distil.refinement(run)
    start = distil.starting_weights(run, refined, resume, again)
    training.train(refined, device, resume, start, typer.echo)
    distil.adopt(run, refined)
    typer.echo(f"learning curve: {pictures.draw_curve(refined)}")


@app.command()
def sharpen(
    recipe: RecipePath, data: Data = DATA, runs: Runs = RUNS, bundles: BundlesFolder = BUNDLES
) -> None:
    """Train the alignment head on alone; the translations stay as they are.

    Where the recipe says so, its links are those of this model and of the bundle of the other
    direction together.
    """
    run = open_run(recipe, data, runs)
    options = run.recipe.sharpening
    if not options.steps:
        return
    device = any_device()
    if options.by_heads:
        reverse = open_bundle(reverse_of(run, bundles))
        draft.write(run, training.load_model(run, run.before_sharpening()), ("int8",))
        links = agreed_links(run, reverse, typer.echo)
        save_ragged(run.path(sharpening.AGREED), links=links)
    sharpening.sharpen(run, device, typer.echo)


@app.command()
def verify(recipe: RecipePath, data: Data = DATA, runs: Runs = RUNS) -> None:
    """Compare torch with the service's own runner; a difference is an error."""
    run = open_run(recipe, data, runs)
    model = training.load_model(run)
    found = {precision: verifying.verify(run, model, precision) for precision in PRECISIONS}
    facts = {str(name): verifying.facts(agreement) for name, agreement in found.items()}
    sealing.record(run, "verify", facts, PRECISIONS)
    for name, fact in facts.items():
        typer.echo(f"{name}: {fact}")
    if not all(agreement.holds for agreement in found.values()):
        raise typer.Exit(1)


@app.command()
def evaluate(
    recipe: RecipePath,
    data: Data = DATA,
    runs: Runs = RUNS,
    bundles: BundlesFolder = BUNDLES,
) -> None:
    """Measure BLEU, chrF and alignment error of the exported graphs, as they will be served.

    If the other direction has a bundle already, the links of both are merged and measured too.
    """
    run = open_run(recipe, data, runs)

    def report(metric: evaluating.Metric) -> None:
        typer.echo(_line(metric))

    rule, metrics = evaluating.evaluate(run, report)
    other = reverse_of(run, bundles)
    if other.is_dir():
        metrics += evaluating.evaluate_both_ways(run, rule, open_bundle(other), report)
    bounds = evaluating.warn_from(run, rule)
    typer.echo(f"warns from {bounds}")
    facts = {
        "link_rule": dataclasses.asdict(rule),
        "warn_from": dataclasses.asdict(bounds),
        "metrics": metrics,
    }
    sealing.record(run, "evaluate", facts, PRECISIONS)
    signature = next(m for m in metrics if "bleu" in m)
    typer.echo(f"{signature['bleu_signature']}\n{signature['chrf_signature']}")


@app.command()
def seal(
    recipe: RecipePath,
    data: Data = DATA,
    runs: Runs = RUNS,
    bundles: BundlesFolder = BUNDLES,
) -> None:
    """Write the manifest, last: the folder becomes a bundle that the service will serve."""
    run = open_run(recipe, data, runs)
    parameters = sum(p.numel() for p in training.load_model(run).parameters())
    manifest = sealing.seal(run, parameters, bundles / run.recipe.bundle.name)
    size = sum(file.bytes for file in manifest.files)
    typer.echo(f"sealed {manifest.name} {manifest.version}: {size / 1e6:.1f} MB")


@app.command()
def restore(
    recipe: RecipePath,
    data: Data = DATA,
    runs: Runs = RUNS,
    bundle: Annotated[
        Path | None, typer.Option(help="The bundle, if not the embedded one of that name")
    ] = None,
) -> None:
    """Let a run begin with a sealed bundle: its subword models and weights, to train on."""
    run = open_run(recipe, data, runs)
    folder = bundle or BUNDLES / run.recipe.bundle.name
    restoring.restore(run, open_bundle(folder))
    typer.echo(f"{run.best} has the weights of {folder}")


def _line(metric: evaluating.Metric) -> str:
    hidden = {"bleu_signature", "chrf_signature"}
    return "  ".join(f"{key} {value}" for key, value in metric.items() if key not in hidden)


def main() -> None:
    """Run a stage; what a person can mend ends it with one line instead of a traceback."""
    try:
        app()
    except OSError as error:
        named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        sys.exit(f"error: {named}")
    except MENDABLE as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
