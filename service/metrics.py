"""What Prometheus may scrape: names, labels, and where their numbers come from.

Nothing is counted here. When somebody asks, the traffic and the engines' tallies are read and
spelled in the format of Prometheus. `docs/operations.md` lists every name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from service.catalog import Catalog
from service.life import Life
from service.tally import Distribution, Load, Tally, added
from service.traffic import Labels, Traffic

OPENMETRICS = "application/openmetrics-text"
"""What Prometheus accepts first. The rest of the header is for no parser: some cannot be parsed."""


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, traffic: Traffic, life: Life) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Traffic(traffic))
        self._registry.register(_Engines(life))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the format that `accept` asks for, and its media type."""
        wanted = f"{OPENMETRICS}; version=1.0.0" if OPENMETRICS in accept.lower() else ""
        encode, media_type = choose_encoder(wanted)
        return encode(self._registry), media_type


class _Untold(Collector):
    """A collector whose names are not asked for when it is registered."""

    def describe(self) -> Sequence[Metric]:
        return ()


class _Traffic(_Untold):
    """What came of the requests."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        traffic = self._traffic
        yield _counter(
            "interlinea_http_requests_total",
            "Requests that are over.",
            ("method", "route", "status"),
            traffic.requests,
        )
        yield _histogram(
            "interlinea_http_request_duration_seconds",
            "From a request's arrival until its answer was sent.",
            ("method", "route"),
            traffic.seconds,
        )
        yield _gauge("interlinea_http_requests_open", "Requests being served.", traffic.open)
        yield _gauge("interlinea_http_streams_open", "Streams being sent.", traffic.streams)
        yield _counter(
            "interlinea_errors_total",
            "Requests that were refused, failed or were given up, by error code.",
            ("code",),
            traffic.errors,
        )
        yield _histogram(
            "interlinea_request_phase_seconds",
            "Time of an answered request in each phase.",
            ("model", "phase"),
            traffic.phases,
        )
        yield _counter(
            "interlinea_attention_bytes_total",
            "Attention matrices in answers, as JSON, before compression.",
            ("model",),
            traffic.attention_bytes,
        )


class _Engines(_Untold):
    """The bundles, and what their engines say."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def collect(self) -> Iterator[Metric]:
        catalog = self._life.catalog
        ready = int(self._life.ready)
        yield _gauge("interlinea_ready", "1 if every bundle translates.", ready)
        if catalog is None:
            return
        yield _models(catalog)
        loads = _loads(catalog)
        waiting = {labels: load.waiting for labels, load in loads.items()}
        running = {labels: load.running for labels, load in loads.items()}
        about = "Sentences waiting for a worker."
        yield _gauges("interlinea_queue_sentences", about, waiting)
        about = "Sentences that a worker has taken."
        yield _gauges("interlinea_running_sentences", about, running)
        yield from _tallies({labels: load.tally for labels, load in loads.items()})


def _loads(catalog: Catalog) -> dict[Labels, Load]:
    """The load of every model; two bundles of one name are one in what they do."""
    loads: dict[Labels, Load] = {}
    for translator in catalog.translators():
        labels, load = (translator.manifest.name,), translator.load()
        if (known := loads.get(labels)) is not None:
            tally = added([known.tally, load.tally])
            load = Load(known.waiting + load.waiting, known.running + load.running, tally)
        loads[labels] = load
    return loads


def _models(catalog: Catalog) -> Metric:
    names = ("name", "version", "source", "target", "architecture")
    labels = ["model", *names[1:]]
    family = InfoMetricFamily("interlinea_model", "A loaded bundle; always 1.", labels=labels)
    summaries = [translator.manifest.summary() for translator in catalog.translators()]
    for values in dict.fromkeys(tuple(str(one[name]) for name in names) for one in summaries):
        family.add_metric(values, {})
    return family


def _tallies(tallies: Mapping[Labels, Tally]) -> Iterator[Metric]:
    for name, about, count in _COUNTERS:
        found = {labels: count(tally) for labels, tally in tallies.items()}
        yield _counter(name, about, ("model",), found)
    for name, about, label, counts in _LABELLED:
        found = {
            (*labels, kind): count(tally)
            for labels, tally in tallies.items()
            for kind, count in counts.items()
        }
        yield _counter(name, about, ("model", label), found)
    for name, about, read in _HISTOGRAMS:
        values = {labels: read(tally) for labels, tally in tallies.items()}
        yield _histogram(name, about, ("model",), values)


def _gauge(name: str, about: str, value: int) -> Metric:
    return GaugeMetricFamily(name, about, value)


def _gauges(name: str, about: str, values: Mapping[Labels, int]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=["model"])
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _counter(name: str, about: str, names: Labels, values: Mapping[Labels, int]) -> Metric:
    family = CounterMetricFamily(name, about, labels=names)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(
    name: str, about: str, names: Labels, values: Mapping[Labels, Distribution]
) -> Metric:
    family = HistogramMetricFamily(name, about, labels=names)
    for labels, one in values.items():
        bounds: Iterable[str] = (*map(str, one.bounds), "+Inf")
        counts = map(float, accumulate(one.counts))
        family.add_metric(labels, list(zip(bounds, counts, strict=True)), one.total)
    return family


Count = Callable[[Tally], int]

_COUNTERS: Sequence[tuple[str, str, Count]] = (
    (
        "interlinea_source_tokens_total",
        "Tokens of translated and aligned sentences, </s> included.",
        lambda tally: tally.source_tokens,
    ),
    (
        "interlinea_target_tokens_total",
        "Tokens of their best translations, </s> included.",
        lambda tally: tally.target_tokens,
    ),
    (
        "interlinea_decoder_steps_total",
        "Decoder steps.",
        lambda tally: sum(tally.steps.counts),
    ),
)

_LABELLED: Sequence[tuple[str, str, str, Mapping[str, Count]]] = (
    (
        "interlinea_sentences_total",
        "Sentences that left the engine, by what came of them.",
        "outcome",
        {
            "done": lambda tally: tally.done,
            "failed": lambda tally: tally.failed,
            "dropped": lambda tally: tally.dropped,
        },
    ),
    (
        "interlinea_batch_tokens_total",
        "Source tokens that were computed, of given targets theirs, padding included.",
        "graph",
        {
            "encoder": lambda tally: tally.encoder_tokens,
            "decoder": lambda tally: tally.decoder_tokens,
            "forced": lambda tally: tally.forced_tokens,
        },
    ),
    (
        "interlinea_batch_real_tokens_total",
        "Those of them that are no padding.",
        "graph",
        {
            "encoder": lambda tally: tally.encoder_real,
            "decoder": lambda tally: tally.decoder_real,
            "forced": lambda tally: tally.forced_real,
        },
    ),
    (
        "interlinea_failed_batches_total",
        "Batches that failed.",
        "graph",
        {
            "encoder": lambda tally: tally.failed_encodings,
            "decoder": lambda tally: tally.failed_steps,
            "forced": lambda tally: tally.failed_readings,
        },
    ),
)

_HISTOGRAMS: Sequence[tuple[str, str, Callable[[Tally], Distribution]]] = (
    (
        "interlinea_queue_wait_seconds",
        "How long sentences waited for a worker.",
        lambda tally: tally.waits,
    ),
    (
        "interlinea_encoder_batch_duration_seconds",
        "Time of a batch in the encoder.",
        lambda tally: tally.encodings,
    ),
    (
        "interlinea_decoder_step_duration_seconds",
        "Time of a decoder step, with its search.",
        lambda tally: tally.steps,
    ),
    (
        "interlinea_forced_batch_duration_seconds",
        "Time of a batch of given targets that are read at once.",
        lambda tally: tally.readings,
    ),
    (
        "interlinea_decoder_batch_fill_ratio",
        "Rows in use of those that a worker has for a step.",
        lambda tally: tally.fill,
    ),
)
