"""Reads the weights of a sealed bundle back, to train them on.

The export itself tells where each weight stands: it spells a network without rounding whose one
parameter holds its own places, counted from 1, and everything else zero. What comes out counted is
where the numbers of the bundle go. Of two biases that are added up, the first takes the sum.
A bundle in int8 gives its weights as they were rounded.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from model_export import checkpoint, export, known
from model_export.graphs.attention import AnyGraph
from model_export.graphs.spelling import Array, Float32, Unrounded, constants
from model_export.model import Seq2Seq
from model_export.run import Run
from service.bundle import Bundle
from service.tokenizer import Tokenizer

ROLES = ("encoder", "decoder")
COUNTABLE = 1 << 24
"""As many places as float32 can count one by one."""

Constants = Mapping[tuple[str, str], Array]
"""The constants of graphs, by role and name."""


class RestoreError(Exception):
    """A bundle is not of the recipe's sizes; the message says what differs."""


def restore(run: Run, bundle: Bundle) -> None:
    """Let the run hold the subword models, known words and weights of a bundle.

    Raises `RestoreError` if the bundle is of another network than the recipe's.
    """
    manifest = bundle.manifest
    models = [bundle.folder / side.tokenizer for side in (manifest.source, manifest.target)]
    sizes = [Tokenizer(model, "").size for model in models]
    model = Seq2Seq(sizes[0], sizes[1], run.recipe.model)
    read_back(model, bundle.folder, manifest.model.precision)  # before anything is overwritten
    for path, place in zip(models, (run.source_model, run.target_model), strict=True):
        shutil.copyfile(path, place)
    if manifest.known_words:
        shutil.copyfile(bundle.folder / manifest.known_words, run.path(known.FILE))
    run.forget_former()
    checkpoint.save(run.best, {"model": model.state_dict()})


def read_back(model: Seq2Seq, folder: Path, precision: str) -> None:
    """Set the parameters of a model to what an exported folder holds of them."""
    given = {
        (graph.role, name): values
        for graph in export.contracts(model, "int8")
        if graph.role in ROLES
        for name, values in constants(folder / graph.file).items()
    }
    _zero(model)
    empty = _spelled(model, precision)
    _compare(empty, given, folder)
    taken = {key: np.zeros(values.shape, bool) for key, values in empty.items()}
    found = {}
    for name, parameter in model.named_parameters():
        _count(parameter, name)
        coded = _spelled(model, precision)
        _zero(model)
        found[name] = _collected(parameter, name, coded, empty, given, taken)
    model.load_state_dict(found, strict=False)  # the rest is no parameter


def _collected(
    parameter: nn.Parameter,
    name: str,
    coded: Constants,
    empty: Constants,
    given: Constants,
    taken: dict[tuple[str, str], Array],
) -> torch.Tensor:
    """Return the values of a parameter, from the constants that show its places."""
    values = np.zeros(parameter.numel(), np.float32)
    shown = np.zeros(parameter.numel(), bool)
    for key, counts in coded.items():
        at = counts != empty[key]
        places = counts[at].astype(np.int64) - 1
        shown[places] = True
        if key in given:  # a constant that no node reads is not written
            first = ~taken[key][at]
            values[places[first]] = given[key][at][first]
            taken[key][at] = True
    if not shown.all():
        raise RestoreError(f"the graphs do not show all of {name}")
    return torch.from_numpy(values).view(parameter.shape)


def _spelled(model: Seq2Seq, precision: str) -> Constants:
    """Return the constants that the graphs of a model have, not rounded."""
    made: dict[tuple[str, str], Array] = {}
    for role in ROLES:
        graph: AnyGraph = Unrounded(model, {}) if precision == "int8" else Float32(model)
        export.say(graph, model, role)
        made |= {(role, name): values for name, values in graph.constants.items()}
    return made


def _compare(expected: Constants, given: Constants, folder: Path) -> None:
    """Raise `RestoreError` unless both are of one network."""
    for key, values in given.items():
        role, name = key
        if key not in expected and not name.startswith("scale_"):  # of calibrated activations
            raise RestoreError(f"{folder}: {role} has {name}, the recipe's network has not")
        if key in expected and expected[key].shape != values.shape:
            shapes = f"{list(values.shape)}, not {list(expected[key].shape)}"
            raise RestoreError(f"{folder}: {name} of the {role} is {shapes} as the recipe says")


def _zero(model: Seq2Seq) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()


def _count(parameter: nn.Parameter, name: str) -> None:
    """Let a parameter hold its own places, from 1."""
    if parameter.numel() >= COUNTABLE:
        raise RestoreError(f"{name} is too large to be read back")
    with torch.no_grad():
        parameter.copy_(torch.arange(1, parameter.numel() + 1).view(parameter.shape))
