"""The route by which an administrator lets the server read the folders of bundles again."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from service.bearer import require_admin
from service.life import Life
from service.responses import answer
from service.settings import Settings


async def reload_models(request: Request) -> Response:
    """Bundles that are new or changed are loaded and tried; then all change places at once.

    Requests in flight finish on the bundles that they began with. If any bundle cannot be
    served, nothing changes, and `detail.bundle` of the error names it.
    """
    await _check_may(request)
    life: Life = request.app.state.life
    return answer(asdict(await life.reload()))


async def _check_may(request: Request) -> None:
    """Raise `Forbidden` unless whoever asks may change what is served."""
    settings: Settings = request.app.state.settings
    if settings.keys is None and settings.reload:
        return
    await require_admin(request)
