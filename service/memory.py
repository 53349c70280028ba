"""Memory that is free again, given back to the system."""

import ctypes


def give_back() -> None:
    """Ask the C library to part with what nobody uses; one that cannot is not asked.

    glibc keeps what was freed for what may come: after a bundle was replaced, about as much as
    the bundle took, and more each time. Takes some tens of milliseconds, outside the
    interpreter lock.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
