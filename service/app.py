"""The application: `create_app`, its life, what wraps it, and its routes.

A request is read (`requests`), checked (`schemas`, `limits`), served by the translator that the
catalog chooses, and written (`wire`, `responses`); `handlers` does so. What can fail raises an
`InterlineaError`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from service import examples, handlers
from service.access import Access
from service.answers import (
    AlignAnswer,
    HealthAnswer,
    LanguageAnswer,
    ModelAnswer,
    ReloadAnswer,
    TranslateAnswer,
)
from service.bearer import Bearer
from service.catalog import Catalog
from service.crowds import Crowds
from service.documentation import DESCRIPTION, add_documentation, answers, body, streamed, timed
from service.hosts import Hosts
from service.leases import Leases
from service.life import Life
from service.origins import Origins
from service.reloads import reload_models
from service.request_ids import RequestIds
from service.responses import LastResort, add_refusals
from service.schemas import AlignRequest, TranslateRequest
from service.settings import Settings, read_settings
from service.shields import Shields
from service.version import version
from service.watchers import UNTOLD, Watchers
from service.watching import Watching


def create_app(
    settings: Settings | None = None,
    load: Callable[[Settings], Catalog] | None = None,
    waits: bool = True,
) -> FastAPI:
    """The application; without settings it reads them from the environment.

    `load` is called, in a thread, when the server starts; what it raises stops the start. An
    application that does not wait for it is loaded by who runs it: `app.state.life.load()`.
    Raises `InvalidSettings` where a setting asks for what is not installed.
    """
    settings = settings or read_settings()
    life = Life(settings, load or Catalog.load)
    watchers = Watchers(settings, life)
    app = FastAPI(
        title="Interlinea",
        version=version(),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(settings, life, watchers, waits),
        telemetry=UNTOLD,
    )
    app.state.settings, app.state.life, app.state.metrics = settings, life, watchers.metrics
    app.state.watchers = watchers.all
    _add_routes(app)
    add_documentation(app)
    add_refusals(app)
    _add_middleware(app, settings, watchers)
    return app


def _add_middleware(app: FastAPI, settings: Settings, watchers: Watchers) -> None:
    """What is added last is outermost: a page may read every refusal that lies within `Origins`."""
    app.add_middleware(Leases, life=app.state.life)
    app.add_middleware(GZipMiddleware, minimum_size=settings.gzip_bytes, compresslevel=6)
    if settings.keys is not None:
        app.add_middleware(Bearer, metrics_need_key=settings.metrics_need_key)
    app.add_middleware(LastResort)
    if settings.hosts:
        app.add_middleware(Hosts, names=settings.hosts)
    app.add_middleware(Crowds)
    if settings.cors_origins:
        app.add_middleware(Origins, origins=settings.cors_origins)
    app.add_middleware(Shields)
    app.add_middleware(Watching, watchers=watchers.all)
    app.add_middleware(RequestIds)


def _lifespan(
    settings: Settings, life: Life, watchers: Watchers, waits: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(watchers.close)
            if settings.keys is not None:
                app.state.access = Access(settings.keys)
                await app.state.access.open()
                stack.push_async_callback(app.state.access.close)
            if waits:
                await life.load()
            stack.push_async_callback(life.end)
            yield

    return lifespan


def _add_routes(app: FastAPI) -> None:
    app.get("/", include_in_schema=False)(handlers.root)
    if app.state.metrics is not None:
        app.get("/metrics", include_in_schema=False)(handlers.metrics)
    app.post(
        "/translate",
        tags=["translation"],
        summary="Translate texts",
        response_model=TranslateAnswer,
        responses=streamed(
            timed(answers(examples.TRANSLATED, 400, 408, 413, 415, 422, 500, 503, 504))
        ),
        openapi_extra=body(TranslateRequest, examples.TRANSLATE),
    )(handlers.translate)
    app.post(
        "/align",
        tags=["translation"],
        summary="Align pairs of texts",
        response_model=AlignAnswer,
        responses=timed(answers(examples.ALIGNED, 400, 408, 413, 415, 422, 500, 503, 504)),
        openapi_extra=body(AlignRequest, examples.ALIGN),
    )(handlers.align)
    app.get(
        "/align",
        tags=["translation"],
        summary="Align one pair",
        response_model=AlignAnswer,
        responses=timed(answers(examples.ALIGNED, 400, 422, 500, 503, 504)),
    )(handlers.align_one)
    _add_facts(app)


def _add_facts(app: FastAPI) -> None:
    app.get(
        "/models",
        tags=["models"],
        summary="The loaded bundles",
        response_model=list[ModelAnswer],
        responses=answers(examples.MODELS),
    )(handlers.models)
    app.post(
        "/models/reload",
        tags=["models"],
        summary="Read the folders of bundles again",
        response_model=ReloadAnswer,
        responses=answers(examples.RELOADED, 403, 409, 500, 503),
    )(reload_models)
    app.get(
        "/languages",
        tags=["models"],
        summary="What can be translated into what",
        response_model=list[LanguageAnswer],
        responses=answers(examples.LANGUAGES),
    )(handlers.languages)
    app.get(
        "/health/live",
        tags=["health"],
        summary="Whether the server runs",
        response_model=HealthAnswer,
        responses=answers({"status": "live"}),
    )(handlers.live)
    app.get(
        "/health/ready",
        tags=["health"],
        summary="Whether every bundle translates",
        response_model=HealthAnswer,
        responses=answers({"status": "ready"}, 503),
    )(handlers.ready)
    for path, handler in (("/health/live", handlers.live), ("/health/ready", handlers.ready)):
        app.head(path, include_in_schema=False)(handler)  # some balancers ask so
