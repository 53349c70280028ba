"""Which release of Interlinea this is."""

from importlib import metadata


def version() -> str:
    """The installed release, or "0" where the code runs without being installed."""
    try:
        return metadata.version("interlinea")
    except metadata.PackageNotFoundError:
        return "0"
