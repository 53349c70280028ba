"""The house rules that a program can check: who imports whom, how big, and what is documented.

The rooms and their order are explained in `docs/architecture.md`. Files are read as text and
as syntax trees, never imported, so that this runs first and fast, whatever is broken.
"""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

GROUPS = {
    1: (
        *("errors", "settings", "segmentation", "slots", "cores", "version", "scripts", "dates"),
        *("tally", "timing", "fields", "memory", "bucket", "placeholders", "layout", "numerals"),
        *("measures", "decimals", "amounts", "ordinals"),
    ),
    1.25: (
        *("keeping", "legible", "untranslatable", "keys", "visit", "files", "external_data"),
        *("marks", "romanisation", "names", "pulse", "patience", "deadline", "turns", "spelling"),
    ),
    1.5: ("tagging", "hypotheses", "repetition", "guard", "search", "beam", "pace", "waiting"),
    1.75: ("manifest",),
    2: ("tokenizer", "words", "bundle", "alignment", "scheduler", "pairs", "dequantise"),
    2.1: ("forced_graph",),
    2.25: ("symmetrization", "diagnostics", "gaps"),
    2.5: ("device", "device_slots"),
    2.75: ("contract",),
    3: ("runner", "device_runner"),
    3.5: ("trial",),
    3.9: ("calls",),
    4: ("admission", "intake", "lane", "worker", "crew", "engine"),
    4.5: ("translation", "options"),
    4.75: ("units",),
    4.9: ("reading", "demand", "telling"),
    5: ("translator", "canary", "opening", "quarantine", "shelf", "catalog", "directions"),
    5.5: ("arrivals", "changes", "generations", "life"),
    6: (
        *("examples", "schemas", "answers", "limits", "written", "wire", "traffic", "metrics"),
        *("logs", "accounts", "access"),
    ),
    7: ("request_ids", "requests", "responses", "streaming", "watching", "tracing", "watchers"),
    7.25: ("bearer", "hosts", "origins", "shields", "leases"),
    7.3: ("crowds", "unread", "lingering", "unframed", "upgrades"),
    7.5: ("connections", "documentation", "reloads", "handlers"),
    8: ("app", "server", "cli", "key_commands", "__main__"),
}
"""Rooms of the service; none imports from a later group."""

HTTP = (
    *("app", "documentation", "handlers", "request_ids", "requests", "responses", "streaming"),
    *("watchers", "watching", "leases", "reloads", "server"),
    *("bearer", "connections", "crowds", "hosts", "origins", "shields", "unframed"),
)
"""The rooms that know FastAPI: `app` and what was split from it."""

RANK = {room: rank for rank, rooms in GROUPS.items() for room in rooms}
LAST_SHARED = 5  # what `model_export` may use: everything but HTTP

OWNERS = {
    "fastapi": {f"service.{room}" for room in HTTP},
    "starlette": {f"service.{room}" for room in HTTP},
    "uvicorn": {"service.connections", "service.server"},
    "httptools": {"service.upgrades"},
    "prometheus_client": {"service.metrics"},
    "opentelemetry": {"service.tracing"},
    "sqlite3": {"service.keys"},
    "pydantic": {"service.answers", "service.schemas", "service.settings"},
    "pydantic_settings": {"service.settings"},
    "onnx": {"service.dequantise", "model_export.export", "model_export.graphs.spelling"},
    "onnxruntime": {"service.device"},
    "sentencepiece": {"service.tokenizer", "model_export.subwords"},
    "sentencex": {"service.segmentation"},
    "opencc": {"service.scripts"},
    "regex": {
        *("service.amounts", "service.dates", "service.decimals", "service.legible"),
        *("service.marks", "service.measures", "service.names", "service.numerals"),
        *("service.romanisation", "service.untranslatable", "service.words"),
        *("service.ordinals", "model_export.counting"),
    },
    "simplemma": {"model_export.lexicon"},
    "pypinyin": {"service.romanisation"},
    "rjieba": {"service.romanisation", "service.words"},
}
"""Libraries that one file, or few, may import; that file translates their errors."""

BANNED = {
    "service": {"torch", "model_export", "tests", "benchmarks"},
    "service.app": {"numpy"},
    "service.scheduler": {"numpy", "asyncio", "threading"},
    "service.waiting": {"numpy", "asyncio", "threading"},
    "service.pairs": {"numpy", "asyncio", "threading"},
    "service.bucket": {"numpy", "asyncio", "threading", "time"},
    "service.keys": {"asyncio", "threading"},
    "service.accounts": {"asyncio", "threading", "time"},
    "service.repetition": {"numpy", "asyncio", "threading"},
    "service.tally": {"numpy", "asyncio", "threading"},
    "service.timing": {"numpy", "asyncio", "threading"},
    "service.visit": {"numpy", "asyncio", "threading"},
    "service.search": {"asyncio", "threading"},
    "service.beam": {"asyncio", "threading"},
    "service.alignment": {"asyncio", "threading"},
    "service.symmetrization": {"numpy", "asyncio", "threading"},
    "service.diagnostics": {"asyncio", "threading"},
    "model_export": {"fastapi", "starlette", "uvicorn", "tests", "benchmarks"},
}

PACKAGES = ("service", "model_export", "model_export.graphs")

NETWORK = {"attention", "config", "decoders", "encoders", "graphs", "model", "quantize"}
"""The rooms of training that its graphs are said of: neither data nor training itself."""

VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "core"}
FILE_LINES = 400
FUNCTION_LINES = 60

RUNS_WHAT_IT_READS = {
    *("eval", "exec", "compile", "__import__", "importlib.import_module"),
    *("np.load", "numpy.load", "torch.load", "pickle.load", "pickle.loads", "yaml.load"),
}

TESTED_IN = {
    "model_export/__main__.py": "model_export_main",
    "model_export/arguments.py": "model_export_main",
    "model_export/recipe.py": "config",
    "model_export/studies.py": "model_export_main",
    "service/__main__.py": "cli",
    "service/admission.py": "engine",
    "service/answers.py": "wire",
    "service/beam.py": "search",
    "service/examples.py": "documentation",
    "service/handlers.py": "app",
    "service/lane.py": "worker",
    "service/options.py": "translator",
    "service/traffic.py": "metrics",
    "service/translation.py": "translator",
    "service/visit.py": "timing",
    "service/watchers.py": "watching",
}
"""Modules whose tests are those of what they were split from."""

FOREIGN = tuple(  # split, or this file would find itself
    "".join(parts).encode()
    for parts in [
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("py", "pi.org"),
        ("python", "hosted"),
        ("registry.", "npmjs"),
        ("deb.", "debian"),
    ]
)
"""Places of one machine or one network, which no file of the project may name."""


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    """A file's path from the root: `service/app.py`; also what a failed test is called."""
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(path: Path) -> set[str]:
    """Modules that a file imports anywhere; `from service import bundle` is `service.bundle`."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: imports are absolute here"
            found.update(_from(node))
    return found


def _from(node: ast.ImportFrom) -> Iterator[str]:
    module = node.module or ""
    if module in PACKAGES:
        return (f"{module}.{alias.name}" for alias in node.names)
    return iter((module,))


def rooms(path: Path) -> set[str]:
    """Rooms of the service that a file imports."""
    parts = (name.split(".") for name in imported(path))
    return {part[1] for part in parts if part[0] == "service" and len(part) > 1}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def passes_through(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function takes `**names` and hands them on, so that nobody says which."""
    name = function.args.kwarg.arg if function.args.kwarg else None
    return any(
        isinstance(node, ast.keyword)
        and node.arg is None
        and isinstance(node.value, ast.Name)
        and node.value.id == name
        for node in ast.walk(function)
    )


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "service").with_suffix("").parts[0]


SERVICE = [path for path in sources("service") if path.name != "__init__.py"]
TRAINING = sources("model_export")
GRAPHS = sources("model_export/graphs")
SHIPPED = sources("service", "model_export", "benchmarks", "deploy")
MODULES = [
    path for path in (*SERVICE, *TRAINING) if path.name != "__init__.py" and path not in GRAPHS
]
EVERYTHING = sources("service", "model_export", "benchmarks", "deploy", "tests")


@pytest.mark.parametrize("path", SERVICE, ids=name_of)
def test_rooms_import_one_way(path: Path) -> None:
    room = room_of(path)
    assert room in RANK, f"give {name_of(path)} a group in GROUPS, and a line in the docs"
    later = {other for other in rooms(path) if RANK.get(other, 99) > RANK[room]}
    assert not later, f"{name_of(path)} is of group {RANK[room]} and may not import {later}"


def test_rooms_import_no_circle() -> None:
    order = TopologicalSorter({room_of(path): rooms(path) - {room_of(path)} for path in SERVICE})
    order.prepare()  # raises CycleError, which names the circle


def test_training_imports_no_circle() -> None:
    order = TopologicalSorter({module_of(path): imported(path) for path in TRAINING})
    order.prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", GRAPHS, ids=name_of)
def test_graphs_are_said_of_the_network_alone(path: Path) -> None:
    parts = [name.split(".") for name in imported(path)]
    rooms = {part[1] for part in parts if part[0] == "model_export"}
    assert not rooms - NETWORK, f"{name_of(path)} may not import {rooms - NETWORK}"
    assert "service" not in {part[0] for part in parts}


@pytest.mark.parametrize("path", TRAINING, ids=name_of)
def test_training_uses_only_rooms_without_http(path: Path) -> None:
    web = {room for room in rooms(path) if RANK.get(room, 99) > LAST_SHARED}
    assert not web, f"{name_of(path)} may not import {web} of the service"


@pytest.mark.parametrize("path", [*SERVICE, *TRAINING], ids=name_of)
def test_libraries_stay_with_their_owners(path: Path) -> None:
    module, used = module_of(path), {name.split(".")[0] for name in imported(path)}
    strays = {name for name in used & OWNERS.keys() if module not in OWNERS[name]}
    assert not strays, f"{name_of(path)} may not import {strays}"
    for place, banned in BANNED.items():
        if module == place or module.startswith(f"{place}."):
            assert not used & banned, f"{name_of(path)} may not import {used & banned}"


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_files_have_a_noun_and_a_size(path: Path) -> None:
    words = set(path.stem.strip("_").split("_")) - {"test"}
    assert not words & VAGUE, f"{name_of(path)} is named for nothing"
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LINES, f"{name_of(path)} has {lines} lines: two nouns?"


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_functions_are_short_and_plain(path: Path) -> None:
    for function in functions(path):
        where = f"{name_of(path)}:{function.lineno}: {function.name}"
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        assert lines <= FUNCTION_LINES, f"{where} has {lines} lines"
        assert not passes_through(function), f"{where} hands on whatever it is given"


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_no_globals(path: Path) -> None:
    found = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Global)]
    assert not found, f"{name_of(path)}:{found[0].lineno}: state has an owner, not a module"


@pytest.mark.parametrize("path", SERVICE, ids=name_of)
def test_nothing_that_is_read_is_run(path: Path) -> None:
    """A bundle is data: nothing that loads data may run what it finds there."""
    called = {ast.unparse(n.func) for n in ast.walk(tree_of(path)) if isinstance(n, ast.Call)}
    assert not called & RUNS_WHAT_IT_READS, f"{name_of(path)} calls what runs what it reads"
    used = {name.split(".")[0] for name in imported(path)}
    assert not used & {"pickle", "marshal", "shelve", "dill", "joblib", "yaml"}
    assert "allow_pickle" not in path.read_text(encoding="utf-8")
    assert "register_custom_ops_library" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_has_its_tests(path: Path) -> None:
    tests = ROOT / "tests" / f"test_{TESTED_IN.get(name_of(path), path.stem)}.py"
    assert tests.is_file(), f"{name_of(path)} has no tests in {name_of(tests)}"


def test_nothing_names_a_foreign_place() -> None:
    folders = (".ci", "benchmarks", "deploy", "docs", "model_export", "service", "tests")
    files = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]  # worktree
    files += [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    named = [
        f"{name_of(path)}: {place.decode()}"
        for path in files
        if "__pycache__" not in path.parts
        for content in [path.read_bytes()]
        for place in FOREIGN
        if place in content
    ]
    assert not named


def docs() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))


def class_of(room: str, name: str) -> ast.ClassDef | None:
    for node in tree_of(ROOT / "service" / f"{room}.py").body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    return None


def fields_of(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """The annotated fields of a class body: name and type."""
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            yield line.target.id, line.annotation


def manifest_fields(name: str = "Manifest") -> set[str]:
    """Fields of the manifest and of every dataclass of the same file that it holds."""
    node = class_of("manifest", name)
    if node is None:
        return set()
    found: set[str] = set()
    for field, kind in fields_of(node):
        found.add(field)
        for part in ast.walk(kind):
            if isinstance(part, ast.Name):
                found |= manifest_fields(part.id)
    return found


def error_codes() -> set[str]:
    """Every `code = "..."` of a class in `service/errors.py`."""
    return {
        line.value.value
        for node in ast.walk(tree_of(ROOT / "service" / "errors.py"))
        if isinstance(node, ast.ClassDef)
        for line in node.body
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant)
        if any(isinstance(to, ast.Name) and to.id == "code" for to in line.targets)
        if isinstance(line.value.value, str)
    }


def test_every_setting_is_documented() -> None:
    settings = class_of("settings", "Settings")
    assert settings is not None
    names = [f"INTERLINEA_{name.upper()}" for name, _ in fields_of(settings)]
    assert "INTERLINEA_PORT" in names, "the fields were not found"
    text = docs()
    missing = [name for name in names if not re.search(rf"\b{name}\b", text)]
    assert not missing


def test_every_error_code_is_documented() -> None:
    codes, text = error_codes(), docs()
    assert "invalid_request" in codes, "the codes were not found"
    assert not [code for code in sorted(codes) if f"`{code}`" not in text]


def test_every_manifest_field_is_documented() -> None:
    names = manifest_fields()
    assert {"name", "version", "sha256"} <= names, "the fields were not found"
    text = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    missing = [name for name in sorted(names) if not re.search(rf"[`\".]{name}[`\"]", text)]
    assert not missing
