"""The Grafana dashboard, written from a list of panels.

`python -m deploy.dashboard` renews `deploy/grafana/dashboards/interlinea.json`, and with
`--rules` prints the queries as rules, for `promtool check rules`. A query is PromQL; `{{...}}` in
a legend is a label of the series.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "grafana" / "dashboards" / "interlinea.json"

SOURCE = {"type": "prometheus", "uid": "prometheus"}
COLUMNS, WIDTH, HEIGHT = 3, 8, 8


@dataclass(frozen=True)
class Query:
    """A query, and what its series are called."""

    promql: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A picture over time; `unit` is one of Grafana's names of units."""

    title: str
    unit: str
    about: str
    queries: tuple[Query, ...]
    stacked: bool = False


def quantile(share: float, series: str, by: str = "", only: str = "") -> Query:
    """The quantile of a histogram over the last minutes, by a label, of series that match."""
    labels = f"le, {by}" if by else "le"
    rate = f"sum by ({labels}) (rate({series}_bucket{only}[$__rate_interval]))"
    legend = f"{{{{{by}}}}} p{share * 100:g}" if by else f"p{share * 100:g}"
    return Query(f"histogram_quantile({share}, {rate})", legend)


def mean(series: str, by: str) -> Query:
    """The mean of a histogram over the last minutes, by a label."""
    parts = (
        f"sum by ({by}) (rate({series}_{part}[$__rate_interval]))" for part in ("sum", "count")
    )
    return Query(" / ".join(parts), f"{{{{{by}}}}}")


def rate(series: str, by: str) -> Query:
    """How fast a counter grows, by a label."""
    return Query(f"sum by ({by}) (rate({series}[$__rate_interval]))", f"{{{{{by}}}}}")


PANELS = (
    Panel(
        "Requests",
        "reqps",
        "Requests that ended, by status: 503 is a refusal, 499 a client that went away.",
        (rate('interlinea_http_requests_total{route!~"/health/.*|/metrics"}', "status"),),
        stacked=True,
    ),
    Panel(
        "Duration of /translate",
        "s",
        "From a request's arrival until its answer was sent.",
        tuple(
            quantile(share, "interlinea_http_request_duration_seconds", only='{route="/translate"}')
            for share in (0.5, 0.95, 0.99)
        ),
    ),
    Panel(
        "Errors",
        "reqps",
        "Requests that were refused, failed or were given up, by error code.",
        (rate("interlinea_errors_total", "code"),),
        stacked=True,
    ),
    Panel(
        "Sentences waiting and running",
        "short",
        "Of all servers together. A queue that does not empty asks for more servers.",
        (
            Query("sum by (model) (interlinea_queue_sentences)", "{{model}} waiting"),
            Query("sum by (model) (interlinea_running_sentences)", "{{model}} running"),
        ),
    ),
    Panel(
        "Wait for a worker",
        "s",
        "How long sentences waited before their work began.",
        tuple(quantile(share, "interlinea_queue_wait_seconds", "model") for share in (0.5, 0.95)),
    ),
    Panel(
        "Where the time goes",
        "s",
        "Mean time of an answered request in each phase.",
        (mean("interlinea_request_phase_seconds", "phase"),),
        stacked=True,
    ),
    Panel(
        "Target tokens",
        "short",
        "Tokens of the translations made, each second.",
        (rate("interlinea_target_tokens_total", "model"),),
        stacked=True,
    ),
    Panel(
        "Fill of batches",
        "percentunit",
        "Rows in use of those that a worker has, mean over decoder steps.",
        (mean("interlinea_decoder_batch_fill_ratio", "model"),),
    ),
    Panel(
        "Decoder step",
        "s",
        "Time of a decoder step, with the search.",
        tuple(
            quantile(share, "interlinea_decoder_step_duration_seconds", "model")
            for share in (0.5, 0.95)
        ),
    ),
    Panel(
        "Ready",
        "short",
        "1: the server translates.",
        (Query("interlinea_ready", "{{instance}}"),),
    ),
    Panel(
        "Memory",
        "bytes",
        "Resident memory of each server.",
        (Query('process_resident_memory_bytes{job=~"interlinea.*"}', "{{instance}}"),),
    ),
    Panel(
        "Processor",
        "short",
        "Cores in use by each server.",
        (
            Query(
                'rate(process_cpu_seconds_total{job=~"interlinea.*"}[$__rate_interval])',
                "{{instance}}",
            ),
        ),
    ),
    Panel(
        "Balancer: servers",
        "short",
        "Servers that it sends requests to.",
        (Query('haproxy_backend_active_servers{proxy="servers"}', "up"),),
    ),
    Panel(
        "Balancer: connections that failed, tried elsewhere",
        "reqps",
        "Nothing had been sent over these.",
        (
            Query(
                'rate(haproxy_backend_connection_errors_total{proxy="servers"}[$__rate_interval])',
                "failed",
            ),
            Query(
                'rate(haproxy_backend_redispatch_warnings_total{proxy="servers"}[$__rate_interval])',
                "sent to another",
            ),
        ),
    ),
    Panel(
        "Balancer: requests lost with a server",
        "reqps",
        "Answered with 502: the server went away while it worked.",
        (
            Query(
                'rate(haproxy_backend_response_errors_total{proxy="servers"}[$__rate_interval])',
                "lost",
            ),
        ),
    ),
)


def dashboard(panels: Iterable[Panel]) -> dict[str, Any]:
    """Return Grafana's model of a dashboard."""
    return {
        "uid": "interlinea",
        "title": "Interlinea",
        "schemaVersion": 41,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "panels": [_placed(place, panel) for place, panel in enumerate(panels)],
    }


def _placed(place: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(place, COLUMNS)
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "targets": [_target(number, query) for number, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _looks(panel), "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _looks(panel: Panel) -> dict[str, Any]:
    stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
    fill = 30 if panel.stacked else 0
    return {"unit": panel.unit, "min": 0, "custom": {"fillOpacity": fill, "stacking": stacking}}


def _target(number: int, query: Query) -> dict[str, Any]:
    letter = chr(ord("A") + number)
    return {
        "refId": letter,
        "datasource": SOURCE,
        "expr": query.promql,
        "legendFormat": query.legend,
    }


def text() -> str:
    """Return the dashboard's file."""
    return json.dumps(dashboard(PANELS), indent=1, ensure_ascii=False) + "\n"


def as_rules() -> str:
    """Return the queries as recording rules, in JSON that is YAML: something to check them with."""
    queries = [query.promql for panel in PANELS for query in panel.queries]
    rules = [
        {"record": f"dashboard:query_{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    return json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})


if __name__ == "__main__":
    if sys.argv[1:] == ["--rules"]:
        print(as_rules())
    else:
        TARGET.write_text(text(), encoding="utf-8")
