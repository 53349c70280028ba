"""The folders of bundles of this machine, and how translators come of them.

A folder whose manifest has not changed keeps the translator that runs; any other is opened,
tried and only then handed over. One bad bundle refuses all, and leaves nothing behind.
"""

import logging
import stat
from collections.abc import Sequence
from pathlib import Path

from service import bundle, cores, quarantine
from service.device import HOST, Device, find
from service.engine import Capacity
from service.errors import BundleError
from service.opening import naming, open_folder
from service.settings import Settings
from service.translator import Translator

EMBEDDED = Path(__file__).with_name("bundles")

MOST_WORKERS = 64
"""Threads of a bundle on a machine of many cores, unless more are asked for: they take turns at one
interpreter, and so do those of the other bundles, and of a bundle that is being replaced."""

log = logging.getLogger("interlinea.catalog")


class Shelf:
    """The embedded bundles, those of `INTERLINEA_BUNDLES`, and the device that runs them."""

    def __init__(self, settings: Settings) -> None:
        """Find the device; raises `DeviceMissing`."""
        self._settings = settings
        self._device = find(settings.device)
        self._capacity = capacity(settings, self._device)

    def load(self, running: Sequence[Translator] = ()) -> list[Translator]:
        """Return a translator for each folder, of those that run where nothing has changed.

        Each new one has translated a canary. Blocks for seconds; raises `BundleError`, which
        names the bundle, and then no thread and no session of a new one is left.
        """
        known = {translator.manifest.name: translator for translator in running}
        loaded: list[Translator] = []
        try:
            for folder in self._folders():
                loaded.append(self._kept(folder, known.get(folder.name)) or self._open(folder))
        except BaseException:
            for translator in loaded:
                if translator not in running:
                    translator.close(0.0)
            raise
        return loaded

    def _kept(self, folder: Path, running: Translator | None) -> Translator | None:
        """Return the translator of a folder that is as it was."""
        if running is None:
            return None
        with naming(folder):
            return running if bundle.digest(folder) == running.digest else None

    def _open(self, folder: Path) -> Translator:
        """Return a translator of a folder; what did not come with this package is tried apart."""
        settings = self._settings
        digest = None if folder.parent == EMBEDDED else quarantine.admit(folder, settings)
        translator = open_folder(folder, settings, self._capacity, self._device, digest)
        manifest = translator.manifest
        log.info("bundle %s %s translates", manifest.name, manifest.version)
        return translator

    def _folders(self) -> list[Path]:
        """Return the folders to serve; an extra bundle takes the place of an embedded namesake."""
        folders: dict[str, Path] = {}
        for root in (EMBEDDED, self._settings.bundles):
            if root is not None:
                folders |= {folder.name: folder for folder in _inside(root)}
        wanted = self._settings.models or tuple(folders)
        if missing := [name for name in wanted if name not in folders]:
            there = ", ".join(folders) or "none"
            detail = {"bundle": missing[0]}
            raise BundleError(f"there is no bundle {missing[0]}; there are: {there}", detail)
        if not wanted:
            raise BundleError("there is no bundle to serve")
        return [folders[name] for name in folders if name in wanted]


def capacity(settings: Settings, device: Device) -> Capacity:
    """One thread can keep another device busy; on the host each core wants its own, up to 64."""
    return Capacity(
        settings.workers or (min(MOST_WORKERS, cores.usable()) if device is HOST else 1),
        settings.slots,
        settings.batch_tokens,
        settings.queue_sentences,
    )


def _inside(root: Path) -> list[Path]:
    try:
        found = sorted(root.iterdir())
    except OSError as error:
        raise BundleError(f"{root} is not a folder of bundles: {error.strerror}") from error
    return [one for one in found if not one.name.startswith((".", "_")) and _is_folder(one)]


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder or may be meant to be one, such as a link that leads nowhere."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:  # whoever opens it says why; a bundle is not dropped for it
        return True
