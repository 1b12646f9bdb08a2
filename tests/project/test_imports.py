"""The layout of the code, read from its syntax trees: packages, and the one direction of their imports."""

import ast
from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from tests import CHECKOUT

PACKAGE = CHECKOUT / "plotindex"
RANKS: dict[str, int] = {
    "errors": 0,
    "faces": 0,
    "system": 1,
    "tree": 2,
    "storage": 3,
    "config": 3,
    "auth": 4,
    "index": 4,
    "rendering": 4,
    "history": 5,
    "inspection": 6,
    "comparison": 7,
    "watch": 8,
    "ops": 8,
    "web": 9,
    "cli": 10,
    "pytest_plugin": 10,
    "__main__": 11,
}
"""A package imports from itself and from those of a lower rank; two of the same rank do not know each other."""
STORAGE = (
    {"tables", "schema", "statements", "pool", "urls", "heartbeat", "stats", "commit_notifications", "database"},
    {"sqlite", "postgres"},
    {"factory", "integrity"},
    {"catalog_header", "rows", "siblings"},
    {"sibling_queries", "session_selection"},
    {"latest", "truncated_sessions", "visibility"},
    {"writer"},
    {"catalog"},
    {"follower"},
    {"history", "facts"},
    {"listing", "name_filter"},
    {"search"},
    {"find", "overview"},
)
"""The order inside storage: each of its modules imports from its own level and those before it."""
FACELESS = {"rendering", "comparison", "history", "inspection", "ops", "web", "cli"}
"""Packages whose modules others import by full path, so that a program loads no more of them than it needs."""
LIBRARIES = {
    "watchdog": {"watch/inotify.py"},
    "PIL": {"rendering/comparing", "rendering/drawing", "rendering/reading"},
    "resvg": {"rendering/drawing/svg.py"},
    "pypdfium2": {"rendering/drawing/pdf.py"},
    "flask": {"web"},
    "granian": {"web/server"},
    "click": {"cli"},
    "mcp": {"cli/mcp/protocol.py"},
    "mcp_types": {"cli/mcp/protocol.py"},
    "pydantic": {"cli/mcp/answers.py", "cli/mcp/protocol.py"},
    "typing_extensions": {"cli/mcp/answers.py"},
    "anyio": {"cli/mcp/protocol.py"},
    "platformdirs": {"config/loader.py"},
    "prometheus_client": {"ops/metrics.py"},
    "itsdangerous": {"auth/signing.py"},
    "jinja2": {"web/pages.py"},
    "psycopg": {"storage/postgres"},
    "alembic": {"storage/schema.py"},
    "sqlalchemy": {"storage"},
}
"""Library -> the one place that imports it."""
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(file: Path) -> str:
    """The package, or the single module, that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(file: Path) -> set[str]:
    """The dotted names that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


@pytest.mark.parametrize(
    "file", [file for file in FILES if part_of(file) != "__init__"], ids=lambda file: str(file.relative_to(PACKAGE))
)
def test_imports_point_one_way(file: Path) -> None:
    own = part_of(file)
    for module in imported_modules(file):
        parts = module.split(".")
        if parts[0] == "plotindex" and len(parts) > 1 and parts[1] != own:
            assert RANKS[parts[1]] < RANKS[own], f"{own} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_other_packages_are_imported_by_their_face(file: Path) -> None:
    by_path = {
        module
        for module in imported_modules(file)
        if module.count(".") > 1 and module.startswith("plotindex.") and module.split(".")[1] != part_of(file)
    }
    assert {module for module in by_path if module.split(".")[1] not in FACELESS} == set()


def test_there_are_at_most_fourteen_packages_and_each_says_what_it_is_for_and_may_import() -> None:
    packages = [folder for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()]
    assert len(packages) <= 14
    for package in packages:
        assert "May import: " in (ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""), package


def test_the_renderer_starts_from_a_package_that_imports_nothing() -> None:
    assert imported_modules(PACKAGE / "rendering/__init__.py") == set()


@pytest.mark.parametrize(("library", "places"), LIBRARIES.items())
def test_each_library_is_imported_in_one_place(library: str, places: set[str]) -> None:
    users = [
        str(file.relative_to(PACKAGE))
        for file in FILES
        if library in {name.split(".")[0] for name in imported_modules(file)}
    ]
    assert users
    for user in users:
        assert any(user == place or user.startswith(f"{place}/") for place in places), f"{user} imports {library}"


def test_a_module_fits_one_sitting() -> None:
    lengths = {str(file.relative_to(PACKAGE)): len(file.read_text().splitlines()) for file in FILES}
    assert {name for name, length in lengths.items() if length > 300} == set()
    assert median(length for name, length in lengths.items() if not name.endswith("__init__.py")) <= 130


def test_no_two_classes_share_a_name() -> None:
    names = Counter(
        node.name for file in FILES for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("file", [file for file in FILES if part_of(file) == "storage"], ids=lambda file: file.stem)
def test_imports_inside_storage_point_one_way(file: Path) -> None:
    def level(name: str) -> int:
        return next(number for number, names in enumerate(STORAGE) if name in names)

    own = file.relative_to(PACKAGE / "storage").parts[0].removesuffix(".py")
    for module in imported_modules(file):
        parts = module.split(".")
        if parts[:2] == ["plotindex", "storage"] and own not in ("__init__", parts[2]):
            assert level(parts[2]) <= level(own), f"storage.{own} imports {module}"
            assert {own, parts[2]} != {"sqlite", "postgres"}


def test_only_reconcile_writes_plots() -> None:
    writers = {file.name for file in FILES if ".apply(" in file.read_text()}
    assert writers == {"batch_writer.py"}


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not {file.stem for file in FILES} & {"utils", "util", "helpers", "common", "misc"}
    classes = [
        node.name for file in FILES for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)
    ]
    assert not [name for name in classes if name.endswith(("Manager", "Handler", "Helper"))]
