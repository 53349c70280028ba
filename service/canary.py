"""A sentence that shows whether a translator works: before it serves, and when it looks broken."""

import asyncio

from service.deadline import Deadline
from service.errors import InterlineaError
from service.options import Options
from service.translator import Translator

CANARY = "1, 2, 3."
SECONDS = 5.0
FIRST_SECONDS = 60.0
"""How long the first may take, of a bundle that was just loaded on a busy machine."""


def prove(translator: Translator, beams: int) -> None:
    """Try the graphs on their own, then translate the canary with 1 to `beams` hypotheses.

    Blocks, and runs a loop of its own. Raises whatever is wrong with a bundle that nobody has
    looked into.
    """
    translator.try_graphs()
    attends = bool(translator.manifest.model.attention)
    for beam in range(1, beams + 1):
        within = Deadline(FIRST_SECONDS)
        options = Options(beam_size=beam, heads=True, diagnostics=attends, deadline=within)
        asyncio.run(_sing(translator, options))


async def trouble(translator: Translator) -> str | None:
    """Say what keeps a translator from working, None if nothing does.

    One whose threads report a fault is given the canary, so that it may turn out well again.
    """
    found = translator.trouble()
    if found is None:
        return None
    try:
        await _sing(translator, Options(attention="none", deadline=Deadline(SECONDS)))
    except InterlineaError as error:
        return f"{found}; {error.message}"
    return translator.trouble()


async def _sing(translator: Translator, options: Options) -> None:
    await translator.translate([CANARY], options)
