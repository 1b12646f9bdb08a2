"""A rebuild with mistyped settings does not empty the catalogue."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import update

from plotindex.storage.catalog import Catalog
from plotindex.storage.schema import migrations_folder
from plotindex.storage.sqlite.database import SqliteDatabase
from plotindex.storage.tables import catalogue
from tests.support.processes import Index, RunPlotindex, all_plots, draw


@pytest.fixture
def drawn(root: Path, index: Index) -> Path:
    for number in range(6):
        draw(root, f"s/project_a/{number}.png")
    draw(root, "s/project_a/deep/er/x.png")
    draw(root, "s/figs/y.png")
    index()
    return root


ALL_NAMES = {"PLOTINDEX_IGNORE": "/"}
MISTYPED = [
    {"PLOTINDEX_PROJECT_PATTERN": "projct_*"},
    {"PLOTINDEX_SUFFIXES": ".svg"},
    {"PLOTINDEX_MAX_PLOTS_PER_SESSION": "2"},
    {"PLOTINDEX_IGNORE": "[0-5].png"},
    {"PLOTINDEX_IGNORE": "s"},
]


@pytest.mark.parametrize("env", MISTYPED, ids=lambda env: next(iter(env)))
@pytest.mark.parametrize("options", [(), ("--from-scratch",)], ids=["", "from scratch"])
def test_rebuild_that_would_remove_most_plots_changes_nothing_without_allow_removals(
    drawn: Path, catalog: Catalog, plotindex: RunPlotindex, env: dict[str, str], options: tuple[str, ...]
) -> None:
    before = all_plots(catalog), catalog.header()
    done = plotindex("rebuild", *options, env=env)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert "of 7 plots, so nothing was changed" in done.stderr
    assert "--allow-removals" in done.stderr
    assert (all_plots(catalog), catalog.header()) == before
    done = plotindex("rebuild", *options, "--allow-removals", env=env)
    assert done.returncode == 0, done
    assert len(all_plots(catalog)) <= 2
    assert plotindex("verify", env=env).returncode == 0
    assert plotindex("rebuild", env=env).returncode == 0
    assert len(list(drawn.rglob("*.png"))) == 8


@pytest.mark.parametrize("env", [env for env in MISTYPED if "PLOTINDEX_MAX_PLOTS_PER_SESSION" not in env], ids=str)
def test_verify_with_settings_that_rebuild_refuses_gives_the_same_reason(
    drawn: Path, plotindex: RunPlotindex, env: dict[str, str]
) -> None:
    assert plotindex("verify").returncode == 0
    verified, refused = (plotindex(command, env=env) for command in ("verify", "rebuild"))
    assert (verified.returncode, refused.returncode) == (1, 2)
    reason = refused.stderr.removeprefix("plotindex: ").partition(" A rebuild ")[0]
    assert verified.stderr.endswith(f" differences. {reason}\n"), (verified.stderr, reason)


def test_rebuild_is_not_refused_for_deleted_plots_or_few_left_out(
    drawn: Path, catalog: Catalog, plotindex: RunPlotindex
) -> None:
    assert plotindex("rebuild", env={"PLOTINDEX_MAX_DEPTH": "1"}).returncode == 0
    assert len(all_plots(catalog)) == 6
    for number in range(5):
        (drawn / f"s/project_a/{number}.png").unlink()
    assert plotindex("rebuild").returncode == 0
    assert len(all_plots(catalog)) == 2


def test_new_default_suffixes_are_adopted_without_asking(
    drawn: Path, catalog: Catalog, plotindex: RunPlotindex
) -> None:
    with catalog.writing() as writer:
        writer.connection.execute(update(catalogue).values(suffixes=".jpg .png"))
    draw(drawn, "s/project_a/new.svg")
    assert plotindex("rebuild").returncode == 0
    assert len(all_plots(catalog)) == 8
    assert ".svg" in catalog.header().suffixes


def test_an_upgrade_adopts_the_default_ignore_without_asking(root: Path, plotindex: RunPlotindex) -> None:
    for path in ("s/project_a/x.png", ".git/project_a/x.png", *(f"s/project_a/@eaDir/{n}.png" for n in range(4))):
        draw(root, path)
    assert "6 plots" in plotindex("rebuild", env=ALL_NAMES).stdout
    refused = plotindex("rebuild")
    assert (refused.returncode, "would remove 5 of 6 plots" in refused.stderr) == (2, True)
    assert "The catalogue uses ignore '/', this command '.[!.]*" in refused.stderr
    assert "Set PLOTINDEX_IGNORE=/." in refused.stderr
    downgrade(root)
    other = plotindex("rebuild", env={"PLOTINDEX_IGNORE": "[!z]*"})
    assert (other.returncode, "would remove 6 of 6 plots" in other.stderr) == (2, True)
    downgrade(root)
    done = plotindex("rebuild")
    assert (done.returncode, "1 sessions" not in done.stdout and "5 removed" in done.stdout) == (0, True), done
    assert plotindex("verify").returncode == 0
    assert plotindex("rebuild").returncode == 0


def downgrade(root: Path) -> None:
    """Leave the catalogue of the root as the version before the setting `ignore` did."""
    [file] = (root.parent / "state").glob("*/catalog.db")
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    database = SqliteDatabase(file)
    with database.writing() as connection:
        config.attributes["connection"] = connection.alchemy
        command.downgrade(config, "0005")
    database.close()
