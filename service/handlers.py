"""What each route answers."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from service import wire
from service.accounts import Charge
from service.bearer import account_of
from service.directions import align_both_ways
from service.documentation import PAGE
from service.leases import catalog_of
from service.life import Life
from service.limits import check_align, check_demand, check_translate
from service.requests import check_query, read_json, unless_gone
from service.responses import answer, timed_answer
from service.schemas import AlignQuery, AlignRequest, MatrixForm, TranslateRequest, read
from service.settings import Settings
from service.streaming import paid, streamed, wants_events
from service.translator import Translator
from service.visit import CURRENT, arrival


async def root(request: Request) -> Response:
    """The way to the page."""
    return RedirectResponse(request.scope.get("root_path", "") + PAGE)


async def translate(request: Request) -> Response:
    """Every translation comes with its sentences, tokens, words, matrix and word links.

    With `Accept: text/event-stream` the answer is a stream of server-sent events instead:
    `token` and `sentence` as they come, and at last `done`, with the answer as it would have
    been; `error` where something fails on the way.
    """
    settings = _settings(request)
    asked = read(TranslateRequest, await _body(request))
    charge = _charge(request, check_translate(asked, settings), asked.matrix)
    translator = _chosen(request, asked, asked.texts())
    options = asked.options(settings.timeout_seconds, arrival())
    if wants_events(request):
        events = paid(charge, translator.stream(asked.texts(), options, charge))
        return await streamed(request, translator.manifest, events, asked.matrix, asked.timing)
    with charge:
        done = await unless_gone(request, translator.translate(asked.texts(), options, charge))
    told = await wire.translated(translator.manifest, done, asked.matrix)
    return timed_answer(told, asked.timing)


async def align(request: Request) -> Response:
    """The target of each pair is force-decoded; without a target, the source is translated."""
    return await _aligned(request, read(AlignRequest, await _body(request)))


async def align_one(request: Request, query: Annotated[AlignQuery, Query()]) -> Response:
    """As `POST /align`, for one pair of texts in the address."""
    check_query(request)
    return await _aligned(request, query.request())


async def _aligned(request: Request, asked: AlignRequest) -> Response:
    settings = _settings(request)
    charge = _charge(request, check_align(asked, settings), asked.matrix)
    pairs = asked.translator_pairs()
    translator = _chosen(request, asked, [(pair.source, pair.target) for pair in pairs])
    options = asked.options(settings.timeout_seconds, arrival())
    if asked.symmetrize is None:
        with charge:
            done = await unless_gone(request, translator.align(pairs, options, charge))
        told = await wire.aligned(translator.manifest, done, asked.matrix)
        return timed_answer(told, asked.timing)
    reverse = catalog_of(request).reverse(translator)
    work = align_both_ways(translator, reverse, pairs, options, asked.symmetrize, charge)
    with charge:
        done = await unless_gone(request, work)
    told = await wire.aligned(translator.manifest, done, asked.matrix, reverse.manifest)
    return timed_answer(told, asked.timing)


async def models(request: Request) -> Response:
    """What the loaded bundles say of themselves, each with what it was measured at."""
    return answer([one.manifest.summary() for one in catalog_of(request).translators()])


async def languages(request: Request) -> Response:
    """Chinese is listed once for each of its scripts."""
    return answer([wire.language(language) for language in catalog_of(request).languages()])


async def live() -> Response:
    """It answers as long as the process does; nothing is asked of the models."""
    return answer({"status": "live"})


async def metrics(request: Request) -> Response:
    """In the format that `Accept` asks for."""
    content, media_type = request.app.state.metrics.exposition(request.headers.get("accept", ""))
    return Response(content, headers={"Content-Type": media_type})


async def ready(request: Request) -> Response:
    """503 tells that a bundle is broken, or that the server ends."""
    life: Life = request.app.state.life
    await life.check_ready()
    return answer({"status": "ready"})


def _chosen(
    request: Request, asked: TranslateRequest | AlignRequest, texts: Sequence[object]
) -> Translator:
    """The translator of a request, which the visit notes, with the texts."""
    translator = catalog_of(request).choose(asked.source, asked.target)
    if (visit := CURRENT.get()) is not None:
        visit.model, visit.texts = translator.manifest.name, texts
    return translator


async def _body(request: Request) -> object:
    settings = _settings(request)
    life: Life = request.app.state.life
    life.check_admits()
    async with life.arrivals.awaited():
        return await read_json(request, settings.max_body_bytes, settings.body_seconds)


def _charge(request: Request, characters: int, form: MatrixForm) -> Charge:
    check = partial(check_demand, settings=_settings(request), form=form)
    return Charge(check, account_of(request), characters)


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings
