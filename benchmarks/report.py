"""What a person reads: the machine, tables, and which bars were met."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from benchmarks import machine

CONSOLE = Console(width=132)


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise and what was measured: at least `limit`, or at most."""

    promise: str
    measured: float
    limit: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the promise holds."""
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    def as_json(self) -> dict[str, object]:
        """Return the bar and its verdict, ready for a file."""
        return {**asdict(self), "met": self.met}


def show_machine() -> None:
    """Print what the figures will be of."""
    for name, value in machine.describe().items():
        words = " ".join(map(str, value)) if isinstance(value, list) else value
        CONSOLE.print(f"{name:>20}  {words}", highlight=False)


def show_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column names what the others measure."""
    CONSOLE.print(table(title, header, rows))


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table: first column to the left, figures to the right."""
    made = Table(title=title, title_justify="left")
    for index, name in enumerate(header):
        made.add_column(name, justify="right" if index else "left", no_wrap=bool(index))
    for row in rows:
        made.add_row(*row)
    return made


def show_bars(bars: Sequence[Bar]) -> None:
    """Print every promise with its figure and whether it is met."""
    show_table("Bars", ["", "measured", "bar", ""], [_line(bar) for bar in bars])


def figure(value: float) -> str:
    """Spell a number with three figures or so: 0.123, 12.3, 1,234."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _line(bar: Bar) -> list[str]:
    verdict = "met" if bar.met else "[bold red]missed"
    limit = f"{'≤' if bar.at_most else '≥'} {figure(bar.limit)}"
    return [bar.promise, figure(bar.measured), limit, verdict]


def progress(text: str) -> None:
    """Say what is being measured."""
    CONSOLE.print(f"[dim]… {text}", highlight=False)
