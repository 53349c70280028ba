"""How a folder becomes a translator that has translated, or an error that names the bundle."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.bundle import open_bundle
from service.canary import prove
from service.device import Device
from service.engine import Capacity
from service.errors import BundleError, DamagedBundle, InterlineaError, printable
from service.settings import Settings
from service.translator import Translator

log = logging.getLogger("interlinea.opening")


def open_folder(
    folder: Path, settings: Settings, capacity: Capacity, device: Device, digest: str | None = None
) -> Translator:
    """Return a translator of a folder, which has translated a canary.

    The manifest must have the `digest`, if one is given. Blocks for seconds; raises
    `BundleError`, and then no thread and no session is left.
    """
    with naming(folder):
        bundle = open_bundle(folder, settings.max_bundle_bytes)
        name = bundle.manifest.name
        if name != folder.name:
            raise DamagedBundle(f"its manifest is of a bundle that is called {name}")
        if digest not in (None, bundle.digest):
            raise DamagedBundle("it was changed while it was being tried")
        translator = Translator(bundle, capacity, device)
        try:
            prove(translator, min(2, settings.max_beam))
        except BaseException:
            translator.close(0.0)
            raise
        return translator


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Let every failure with a bundle be a `BundleError` that names it."""
    name = printable(folder.name)
    detail = {"bundle": name}
    try:
        yield
    except BundleError as error:
        message = error.message if name in error.message else f"{name}: {error.message}"
        raise type(error)(message, {**detail, **(error.detail or {})}) from error
    except Exception as error:  # nobody has looked into it: anything may come of it
        log.exception("bundle %s cannot be used", name)
        what = error.message if isinstance(error, InterlineaError) else repr(error)
        raise DamagedBundle(f"{name} cannot be used: {what}", detail) from error
