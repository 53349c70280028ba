"""The key that a request brings with it, and what needs one.

Everything needs a key but what is listed here, so that a new route is closed until somebody opens
it. `require_admin` is for routes that change the server:

    app.post("/models/reload", dependencies=[Depends(require_admin)])(_reload)

It refuses where the server has no keys at all, since then anybody would be admin.
"""

from functools import partial

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import Access
from service.accounts import Account
from service.errors import Forbidden, RequestError, Unauthorized
from service.hosts import METRICS
from service.responses import path_of, refusal

OPEN = frozenset({"/", "/docs", "/openapi.json"})
OPEN_FOLDERS = ("/health/", "/docs/")


class Bearer:
    """Middleware that lets in who brings a key, and tells what the key has left."""

    def __init__(self, app: ASGIApp, metrics_need_key: bool) -> None:
        self._app = app
        self._metrics_need_key = metrics_need_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        path = path_of(scope)
        if scope["type"] != "http" or not needs_key(path, self._metrics_need_key):
            await self._app(scope, receive, send)
            return
        access: Access = scope["app"].state.access
        try:
            account = access.identify(bearer(Headers(scope=scope)))
            if path == METRICS:
                _check_admin(account)
        except RequestError as error:
            await refusal(error, scope["state"]["request_id"])(scope, receive, send)
            return
        scope["state"]["account"] = account
        if policy := account.policy():
            send = partial(_send_standing, send, account, policy)
        await self._app(scope, receive, send)


def needs_key(path: str, metrics: bool) -> bool:
    """Whether a path needs a key, where there are keys; `metrics`: whether that of metrics does."""
    if path == METRICS:
        return metrics
    return path not in OPEN and not path.startswith(OPEN_FOLDERS)


def bearer(headers: Headers) -> str:
    """The key of the header `Authorization`, as RFC 6750 has it; raises `Unauthorized`."""
    given = headers.getlist("authorization")
    if not given:
        raise Unauthorized('send a key, as the header "Authorization: Bearer il_..."')
    scheme, _, secret = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise Unauthorized('the header Authorization should be "Bearer il_...", once')
    return secret.strip()


def account_of(request: Request) -> Account | None:
    """Whose request it is; None where the server has no keys, or the path needs none."""
    account: Account | None = getattr(request.state, "account", None)
    return account


async def require_admin(request: Request) -> None:
    """A dependency that lets in admins only; raises `Forbidden`."""
    _check_admin(account_of(request))


def _check_admin(account: Account | None) -> None:
    if account is None:
        raise Forbidden("this needs a key of an admin, and the server has no keys")
    if not account.key.terms.admin:
        raise Forbidden("this needs a key of an admin")


async def _send_standing(send: Send, account: Account, policy: str, message: Message) -> None:
    if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        headers["RateLimit-Policy"] = policy
        headers["RateLimit"] = account.standing()
    await send(message)
