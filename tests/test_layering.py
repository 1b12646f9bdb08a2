"""The shape of the code, read from its syntax trees."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "plotindex"

# Each module may import from its own layer and those behind it.
LAYERS = [
    {"cli", "commands", "web", "__main__", "pytest_plugin"},
    {"support", "backup"},
    {"doctor"},
    {"running"},
    {"waiting", "configuration"},
    {"doubts"},
    {"status", "metrics", "means"},
    {"indexer", "lookup", "logins", "listing", "finding", "overview", "names", "thumbnails"},
    {"scans", "signing"},
    {"rescan", "barriers", "gaps", "rolling", "rounds", "polling", "troubles", "heartbeats"},
    {"turns"},
    {"access"},
    {"reconcile", "look", "soundness", "verify", "watcher", "watches", "labels", "stamps", "links", "survey"},
    {"scout"},
    {"scouting"},
    {"catalog", "intake", "tree"},
    {"writer", "matching", "walk"},
    {"opening"},
    {"postgres"},
    {"database", "inspecting", "tables", "mounts", "beneath"},
    {"keys", "recent"},
    {"election", "news"},
    {"connecting"},
    {"engines", "drawing", "drawer", "kept"},
    {"files", "schema", "prepared", "confinement", "effort", "wal", "resting", "rereading", "units", "reach"},
    {"settings", "sources", "parsing", "locks", "logs", "terminal", "processes", "strokes", "syscalls", "asking"},
    {"urls"},
    {"errors", "layout", "scopes", "jobs", "measured", "wording", "sharing", "supervisor", "trigrams", "veiling"},
]
ONE_MODULE_EACH = {
    "watchdog": {"watcher.py"},
    "PIL": {"drawing.py"},
    "flask": {"web"},
    "granian": {"web"},
    "click": {"cli.py", "commands", "terminal.py"},
    "platformdirs": {"settings.py"},
    "prometheus_client": {"metrics.py"},
    "itsdangerous": {"signing.py"},
    "jinja2": {"web"},
    "psycopg": {"connecting.py"},
    "alembic": {"schema.py"},
    "sqlalchemy": {
        "connecting.py",
        "database.py",
        "engines.py",
        "prepared.py",
        "schema.py",
        "catalog.py",
        "finding.py",
        "inspecting.py",
        "intake.py",
        "listing.py",
        "matching.py",
        "names.py",
        "overview.py",
        "postgres.py",
        "writer.py",
        "tables.py",
        "urls.py",
        "wal.py",
    },
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported_modules(file: Path) -> set[str]:
    """The dotted names that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def layer_of(module: str) -> int:
    return max(number for number, layer in enumerate(LAYERS) if module in layer)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for module in imported_modules(file):
        parts = module.split(".")
        if parts[0] == "plotindex" and len(parts) > 1:
            assert layer_of(parts[1]) >= layer_of(own), f"{own} imports {module}"


@pytest.mark.parametrize(("library", "places"), ONE_MODULE_EACH.items())
def test_each_library_touches_its_own_place_alone(library: str, places: set[str]) -> None:
    users = {
        file.relative_to(PACKAGE).parts[0]
        for file in FILES
        if any(module.split(".")[0] == library for module in imported_modules(file))
    }
    assert users == places


def test_only_reconcile_writes_plots() -> None:
    writers = {file.name for file in FILES if ".apply(" in file.read_text()}
    assert writers == {"reconcile.py"}


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not {file.stem for file in FILES} & {"utils", "util", "helpers", "common", "misc"}
    classes = [
        node.name for file in FILES for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)
    ]
    assert not [name for name in classes if name.endswith(("Manager", "Handler", "Helper"))]
