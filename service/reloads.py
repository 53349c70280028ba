"""The route by which an administrator lets the server read the folders of bundles again."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from service.errors import Forbidden
from service.life import Life
from service.responses import answer
from service.settings import Settings


async def reload_models(request: Request) -> Response:
    """Bundles that are new or changed are loaded and tried; then all change places at once.

    Requests in flight finish on the bundles that they began with. If any bundle cannot be
    served, nothing changes, and `detail.bundle` of the error names it.
    """
    _require_admin(request)
    life: Life = request.app.state.life
    return answer(asdict(await life.reload()))


def _require_admin(request: Request) -> None:
    """Raise `Forbidden` unless whoever asks may change what is served."""
    settings: Settings = request.app.state.settings
    if not settings.reload:
        raise Forbidden("reload is not allowed here; INTERLINEA_RELOAD allows it without keys")
