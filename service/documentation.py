"""The OpenAPI document and its page, which loads nothing from anywhere else."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from service import examples
from service.answers import DiagnosticsAnswer, ErrorAnswer, TimingAnswer
from service.bearer import needs_key
from service.hosts import HEALTH
from service.schemas import AlignRequest, TranslateRequest
from service.settings import Settings
from service.streaming import EVENTS

Responses = dict[int | str, dict[str, Any]]

PAGE = "/docs"
ASSETS = "docs/assets"

DESCRIPTION = """\
Translations with their attention matrices and word alignments.

Spans are half-open ranges of Unicode code points. Matrices are `(target, source)`. Every answer,
errors too, carries `X-Request-ID`; every error has the same shape.
"""

POLICY = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: its own files, the one script in it, and pictures from its style."""

PAID = ("/translate", "/align")
"""The routes that cost a key something."""

SCHEME = "key"
"""What the document calls the way in which keys are sent."""

_REASONS = {
    400: "The body is not JSON in UTF-8.",
    403: "The route is not for everybody.",
    409: "It is being done already.",
    401: "The request brings no key that counts.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not sent as `application/json`.",
    421: "The server does not answer to this host name.",
    422: "The request cannot be served as it stands.",
    429: "The key has used what it may; `Retry-After` says when there is more.",
    431: "The address and the headers are too large.",
    500: "The server failed.",
    503: "The server cannot take the request now; `Retry-After` says when to try again.",
    504: "The work was not done within its `timeout`.",
}


def answers(example: object, *refused: int) -> Responses:
    """What a route answers, and the statuses with which it may refuse."""
    responses: Responses = {200: {"content": {"application/json": {"example": example}}}}
    for status in refused:
        responses[status] = {"model": ErrorAnswer, "description": _REASONS[status]}
    return responses


def timed(responses: Responses) -> Responses:
    """The same of a route that says how long its answer took."""
    described = (
        "Milliseconds of `queue`, `encode`, `decode`, `serialise` and `total`; not of a stream."
    )
    header = {"description": described, "schema": {"type": "string"}}
    responses[200]["headers"] = {"Server-Timing": header}
    return responses


def streamed(responses: Responses) -> Responses:
    """The same of a route that tells its answer in events to those who ask so."""
    responses[200]["content"][EVENTS] = {"schema": {"type": "string"}}
    return responses


def body(shape: type[TranslateRequest] | type[AlignRequest], example: object) -> dict[str, Any]:
    """The body of a route that reads it by hand."""
    schema = {"$ref": _REFERENCE.format(model=shape.__name__)}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def add_documentation(app: FastAPI) -> None:
    """Serve the page, its assets, and a document that knows the bodies."""
    app.get(PAGE, include_in_schema=False)(_page)
    app.mount(f"/{ASSETS}", Assets(packages=[("fastapi_offline", "static")]), name="assets")

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's manual has it


class Assets(StaticFiles):
    """The page's files, always whole: who asks for a part of one has no error to meet."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as if no part had been asked for."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


_REFERENCE = "#/components/schemas/{model}"
_REFUSED = {
    "content": {
        "application/json": {"schema": {"$ref": _REFERENCE.format(model=ErrorAnswer.__name__)}}
    }
}


async def _page() -> Response:
    """The page may run its own scripts, and ask nobody but this server."""
    page = _swagger()
    inline = re.findall(r"<script>(.*?)</script>", bytes(page.body).decode(), re.DOTALL)
    hashes = (b64encode(sha256(script.encode()).digest()).decode() for script in inline)
    scripts = " ".join(f"'sha256-{one}'" for one in hashes)
    page.headers["Content-Security-Policy"] = POLICY.format(scripts=scripts)
    return page


def _swagger() -> Response:
    """Paths are relative, so that the page also works under a prefix."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Interlinea",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},  # a public service, asked otherwise
    )


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document["components"]["schemas"]
    for shape in (TranslateRequest, AlignRequest):
        schema = shape.model_json_schema(ref_template=_REFERENCE)
        schemas.update(schema.pop("$defs", {}))
        schemas[shape.__name__] = schema
    schemas[ErrorAnswer.__name__]["example"] = examples.REFUSED
    schemas[DiagnosticsAnswer.__name__]["example"] = examples.DIAGNOSTICS
    schemas[TimingAnswer.__name__]["example"] = examples.TIMING
    settings: Settings = app.state.settings
    _add_refusals_of_all(document, settings)
    if settings.keys is not None:
        _add_security(document, settings)
    for parameter in document["paths"]["/align"]["get"]["parameters"]:
        if parameter["name"] in examples.ALIGN_QUERY:
            parameter["example"] = examples.ALIGN_QUERY[parameter["name"]]
    return document


def _add_refusals_of_all(document: dict[str, Any], settings: Settings) -> None:
    """Say how a request is refused before anybody looks at its route."""
    for path, operations in document["paths"].items():
        first = [421] if settings.hosts else []
        for status in [431] if path.startswith(HEALTH) else [*first, 431, 503]:
            refused = _REFUSED | {"description": _REASONS[status]}
            for operation in operations.values():
                operation["responses"].setdefault(str(status), refused)


def _add_security(document: dict[str, Any], settings: Settings) -> None:
    """Say what needs a key, and how it may be refused."""
    document["components"]["securitySchemes"] = {
        SCHEME: {"type": "http", "scheme": "bearer", "description": "A key, `il_...`."}
    }
    for path, operations in document["paths"].items():
        if not needs_key(path, settings.metrics_need_key):
            continue
        for operation in operations.values():
            operation["security"] = [{SCHEME: []}]
            for status in (401, 429) if path in PAID else (401,):
                operation["responses"][str(status)] = _REFUSED | {"description": _REASONS[status]}
