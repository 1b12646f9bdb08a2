"""A database that is invalid, or of another root, is refused with exit 2 and left unchanged."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.errors import SettingsError
from plotindex.index.reconcile import reconcile
from plotindex.storage.catalog import Catalog
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.tree.tree import Tree
from plotindex.web import create_app
from tests.support.processes import PNG, Refused, all_plots, draw


def test_file_that_is_no_database_is_refused(refused: Refused, tmp_path: Path) -> None:
    file = tmp_path / "holiday.db"
    file.write_bytes(PNG * 100)
    commands = ["rebuild", "watch", "verify"]
    refused(commands, f"{file} is not an SQLite database", "--database", options=("--database", f"sqlite:///{file}"))
    assert file.read_bytes() == PNG * 100


@pytest.mark.parametrize("table", ["photo", "plot", "alembic_version"])
def test_database_of_another_program_is_refused(refused: Refused, tmp_path: Path, table: str) -> None:
    file = tmp_path / "photos.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"CREATE TABLE {table} (version_num TEXT)")
        connection.execute(f"INSERT INTO {table} VALUES ('ae1027a6acf')")
    before = file.read_bytes()
    says = "newer plotindex" if table == "alembic_version" else "has tables of another program"
    commands = ["rebuild", "verify"] if table == "photo" else ["rebuild"]
    refused(commands, f"{file}", says, options=("--database", f"sqlite:///{file}"))
    assert file.read_bytes() == before


def test_newer_schema_is_refused(refused: Refused, tree: Tree, catalog: Catalog, root: Path) -> None:
    draw(root, "a/project_1/x.png")
    reconcile(tree, catalog, [""])
    catalog.database.close()
    with closing(sqlite3.connect(catalog.database.path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = catalog.database.path.read_bytes()
    refused(["rebuild", "verify"], "newer plotindex (schema 9999)", "upgrade plotindex")
    assert catalog.database.path.read_bytes() == before


def test_catalogue_of_another_root_is_refused(
    refused: Refused, root: Path, tree: Tree, catalog: Catalog, tmp_path: Path
) -> None:
    draw(root, "a/project_1/x.png")
    reconcile(tree, catalog, [""])
    before = catalog.header(), all_plots(catalog)
    other = tmp_path / "other"
    draw(other, "a/project_1/x.png", PNG * 2)
    options = ("--root", other, "--database", f"sqlite:///{catalog.database.path}")
    commands = ["rebuild", "watch", "serve", "verify", "find x"]
    refused(commands, f"The catalogue belongs to the root {root}, not to {other}", "--database", options=options)
    assert (catalog.header(), all_plots(catalog)) == before


def test_server_ignores_the_catalogue_of_another_root(
    root: Path, tree: Tree, catalog: Catalog, settings: Settings, tmp_path: Path
) -> None:
    draw(root, "a/project_1/x.png")
    draw(root, "a/project_1/gone.png")
    reconcile(tree, catalog, [""])
    before = catalog.header(), all_plots(catalog)
    other = tmp_path / "other"
    draw(other, "a/project_1/x.png", PNG * 2)
    draw(other, "a/project_1/new.png", PNG * 3)
    mixed = replace(settings, root=other, database=f"sqlite:///{catalog.database.path}")
    secret = Tokens(mixed.make_state_folder() / "tokens.json").create("web")
    client = create_app(mixed).test_client()
    answers = {}
    for name in ("x.png", "new.png", "gone.png"):
        url = f"/api/smartstat/plots/a/{name}"
        with client.get(url, headers={"Authorization": f"Bearer {secret}"}, buffered=True) as response:
            answers[name] = response.status_code, len(response.data) // len(PNG)
    assert answers == {"x.png": (200, 2), "new.png": (200, 3), "gone.png": (404, 0)}
    assert (catalog.header(), all_plots(catalog)) == before


def test_unusable_database_urls_are_refused(refused: Refused, tmp_path: Path) -> None:
    options = ("--database", "mysql://localhost/x")
    refused(["rebuild"], "write sqlite:////absolute/path/catalog.db", options=options)
    refused(["rebuild"], "does not exist", "create it", "--database", options=("--database", "sqlite:///no/where.db"))
    refused(["rebuild", "verify"], str(tmp_path), "--database", options=("--database", f"sqlite:///{tmp_path}"))
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "catalog.db", "sqlite://", "sqlite+nothing:///x.db"])
def test_invalid_database_urls_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"write sqlite:////absolute/path/catalog\.db(, or postgresql.*)?\.$"):
        SqliteDatabase(url)


def test_damaged_database_named_by_option_is_refused(
    refused: Refused, root: Path, tree: Tree, catalog: Catalog
) -> None:
    draw(root, "a/project_1/x.png")
    reconcile(tree, catalog, [""])
    catalog.database.close()
    content = catalog.database.path.read_bytes()
    damaged = content[:4096] + bytes(reversed(content[4096:]))
    catalog.database.path.write_bytes(damaged)
    options = ("--database", f"sqlite:///{catalog.database.path}")
    says = (str(catalog.database.path), "move it away", "plotindex rebuild")
    refused(["rebuild", "watch", "migrate", "verify"], *says, options=options)
    assert catalog.database.path.read_bytes() == damaged
