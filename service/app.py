"""The HTTP face: `create_app`, its life, and its routes.

A request is read (`requests`), checked (`schemas`, `limits`), served by the translator that the
catalog chooses, and written (`wire`, `responses`). What can fail raises an `InterlineaError`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Query
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from service import examples, wire
from service.answers import (
    AlignAnswer,
    HealthAnswer,
    LanguageAnswer,
    ModelAnswer,
    TranslateAnswer,
)
from service.catalog import Catalog
from service.directions import align_both_ways
from service.documentation import DESCRIPTION, PAGE, add_documentation, answers, body
from service.drain import Drain
from service.errors import ShuttingDown, Unavailable
from service.limits import check_align, check_translate
from service.request_ids import RequestIds
from service.requests import check_query, read_json, unless_gone
from service.responses import LastResort, add_refusals, answer
from service.schemas import AlignQuery, AlignRequest, TranslateRequest, read
from service.settings import Settings, read_settings
from service.streaming import streamed, wants_events
from service.version import version


def create_app(
    settings: Settings | None = None, load: Callable[[Settings], Catalog] = Catalog.load
) -> FastAPI:
    """The application; without settings it reads them from the environment.

    `load` is called, in a thread, when the server starts; what it raises stops the start.
    """
    settings = settings or read_settings()
    app = FastAPI(
        title="Interlinea",
        version=version(),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_life(settings, load),
    )
    app.state.settings = settings
    app.state.drain = Drain(settings.drain_seconds)
    _add_routes(app)
    add_documentation(app)
    add_refusals(app)
    app.add_middleware(GZipMiddleware, minimum_size=settings.gzip_bytes, compresslevel=6)
    app.add_middleware(LastResort)
    app.add_middleware(RequestIds)  # added last, so outermost
    return app


def _life(
    settings: Settings, load: Callable[[Settings], Catalog]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        catalog = await asyncio.to_thread(load, settings)
        app.state.catalog = catalog
        try:
            yield
        finally:
            await asyncio.to_thread(catalog.close, settings.grace_seconds)

    return life


def _add_routes(app: FastAPI) -> None:
    app.get("/", include_in_schema=False)(_root)
    app.post(
        "/translate",
        tags=["translation"],
        summary="Translate texts",
        response_model=TranslateAnswer,
        responses=answers(examples.TRANSLATED, 400, 413, 415, 422, 500, 503, 504),
        openapi_extra=body(TranslateRequest, examples.TRANSLATE),
    )(_translate)
    app.post(
        "/align",
        tags=["translation"],
        summary="Align pairs of texts",
        response_model=AlignAnswer,
        responses=answers(examples.ALIGNED, 400, 413, 415, 422, 500, 503, 504),
        openapi_extra=body(AlignRequest, examples.ALIGN),
    )(_align)
    app.get(
        "/align",
        tags=["translation"],
        summary="Align one pair",
        response_model=AlignAnswer,
        responses=answers(examples.ALIGNED, 400, 422, 500, 503, 504),
    )(_align_one)
    app.get(
        "/models",
        tags=["models"],
        summary="The loaded bundles",
        response_model=list[ModelAnswer],
        responses=answers(examples.MODELS),
    )(_models)
    app.get(
        "/languages",
        tags=["models"],
        summary="What can be translated into what",
        response_model=list[LanguageAnswer],
        responses=answers(examples.LANGUAGES),
    )(_languages)
    app.get(
        "/health/live",
        tags=["health"],
        summary="Whether the server runs",
        response_model=HealthAnswer,
        responses=answers({"status": "live"}),
    )(_live)
    app.get(
        "/health/ready",
        tags=["health"],
        summary="Whether every bundle translates",
        response_model=HealthAnswer,
        responses=answers({"status": "ready"}, 503),
    )(_ready)


async def _root(request: Request) -> Response:
    return RedirectResponse(request.scope.get("root_path", "") + PAGE)


async def _translate(request: Request) -> Response:
    """Every translation comes with its sentences, tokens, words, matrix and word links.

    With `Accept: text/event-stream` the answer is a stream of server-sent events instead:
    `token` and `sentence` as they come, and at last `done`, with the answer as it would have
    been; `error` where something fails on the way.
    """
    settings = _settings(request)
    asked = read(TranslateRequest, await read_json(request, settings.max_body_bytes))
    check_translate(asked, settings)
    translator = _catalog(request).choose(asked.source, asked.target)
    options = asked.options(settings.timeout_seconds)
    if wants_events(request):
        events = translator.stream(asked.texts(), options)
        return await streamed(request, translator.manifest, events, asked.matrix)
    done = await unless_gone(request, translator.translate(asked.texts(), options))
    return answer(wire.translated(translator.manifest, done, asked.matrix))


async def _align(request: Request) -> Response:
    """The target of each pair is force-decoded; without a target, the source is translated."""
    asked = read(AlignRequest, await read_json(request, _settings(request).max_body_bytes))
    return await _aligned(request, asked)


async def _align_one(request: Request, query: Annotated[AlignQuery, Query()]) -> Response:
    """As `POST /align`, for one pair of texts in the address."""
    check_query(request)
    return await _aligned(request, query.request())


async def _aligned(request: Request, asked: AlignRequest) -> Response:
    settings = _settings(request)
    check_align(asked, settings)
    translator = _catalog(request).choose(asked.source, asked.target)
    options = asked.options(settings.timeout_seconds)
    pairs = asked.translator_pairs()
    if asked.symmetrize is None:
        done = await unless_gone(request, translator.align(pairs, options))
        return answer(wire.aligned(translator.manifest, done, asked.matrix))
    reverse = _catalog(request).reverse(translator)
    work = align_both_ways(translator, reverse, pairs, options, asked.symmetrize)
    done = await unless_gone(request, work)
    return answer(wire.aligned(translator.manifest, done, asked.matrix, reverse.manifest))


async def _models(request: Request) -> Response:
    return answer([one.manifest.summary() for one in _catalog(request).translators()])


async def _languages(request: Request) -> Response:
    return answer([wire.language(language) for language in _catalog(request).languages()])


async def _live() -> Response:
    return answer({"status": "live"})


async def _ready(request: Request) -> Response:
    drain: Drain = request.app.state.drain
    if drain.begun():
        raise ShuttingDown("the server is about to stop")
    if not _catalog(request).ready():
        raise Unavailable("not every bundle has translated its first sentence yet")
    return answer({"status": "ready"})


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _catalog(request: Request) -> Catalog:
    catalog: Catalog = request.app.state.catalog
    return catalog
