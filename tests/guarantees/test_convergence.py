"""For every tree and every sequence of changes: reconciling what changed ≡ a rebuild ≡ what a scan answers."""

import os
import random
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plotindex.index.reconcile import reconcile
from plotindex.index.report import Options
from plotindex.index.verify import differences
from plotindex.storage.catalog import Catalog
from plotindex.tree.grammar import Layout
from plotindex.tree.plots import Plot, PlotKey, to_int64
from plotindex.tree.tree import Tree
from tests.support.postgres import NewDatabase, on_both_engines
from tests.support.processes import all_plots

SESSIONS, PROJECTS, NAMES = ["s", "s-1"], ["project_a", "project_b", "other"], ["sub", "sub0", "x.png", "y.SVG"]
IGNORED, LIKE_IGNORED = [".git", "@eaDir", "lost+found", ".x.png"], ["..x.png", "@eaDir.png"]
PATTERNS = ["project_*", ".", "project_* .", "project_* s* ."]
BEGINNING = [
    f"{s}/{p}/{n}" for s in SESSIONS for p in PROJECTS for n in ("x.png", "sub/x.png", "sub/sub/y.SVG", "sub0/x.png")
] + ["s/project_a/.git/x.png", ".git/project_a/x.png", "s/project_b/sub/.x.png", "s/project_b/..x.png"]
entries = st.lists(st.sampled_from([*NAMES, *NAMES, *IGNORED, *LIKE_IGNORED]), max_size=3).map("/".join)
paths = st.builds(
    lambda session, project, entry: "/".join(filter(None, [session, project, entry])),
    st.sampled_from([*SESSIONS, *SESSIONS, ".git"]),
    st.sampled_from([*PROJECTS, *PROJECTS, "", "project_c.png", ".project_a"]),
    entries,
)
Step = tuple[str, str, str, int]
steps = st.tuples(
    st.sampled_from(["write", "write", "rename", "rename", "delete", "link", "folder", "replace", "date", "fifo"]),
    paths,
    paths,
    st.integers(-3, 3),
)


def write(root: Path, path: str, other: str, number: int) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    # Not blocking: opening a FIFO for writing would wait for a reader.
    descriptor = os.open(root / path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o644)
    os.write(descriptor, b"x" * (number + 3))
    os.close(descriptor)


def rename(root: Path, path: str, other: str, number: int) -> None:
    (root / other).parent.mkdir(parents=True, exist_ok=True)
    (root / path).rename(root / other)


def delete(root: Path, path: str, other: str, number: int) -> None:
    if (root / path).is_dir() and not (root / path).is_symlink():
        shutil.rmtree(root / path)
    else:
        (root / path).unlink()


def link(root: Path, path: str, other: str, number: int) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(root / other)


def folder(root: Path, path: str, other: str, number: int) -> None:
    (root / path).mkdir(parents=True)


def replace(root: Path, path: str, other: str, number: int) -> None:
    (root / "new").write_bytes(b"new")
    (root / "new").rename(root / path)


def date(root: Path, path: str, other: str, number: int) -> None:
    os.utime(root / path, ns=(number, number), follow_symlinks=False)


def fifo(root: Path, path: str, other: str, number: int) -> None:
    os.mkfifo(root / path)


STEPS: dict[str, Callable[[Path, str, str, int], None]] = {
    f.__name__: f for f in (write, rename, delete, link, folder, replace, date, fifo)
}


def place_by_hand(parts: Sequence[str], pattern: str) -> tuple[str, str] | None:
    """The project and filename of a file below a root."""
    begins = tuple(glob[:-1] for glob in pattern.split() if glob != ".")
    if len(parts) > 2 and begins and parts[1].startswith(begins):
        return parts[1], "/".join(parts[2:])
    return (".", "/".join(parts[1:])) if len(parts) > 1 and "." in pattern.split() else None


def plots_by_hand(root: Path, pattern: str = "project_*") -> set[Plot]:
    """What is a plot below a root, found without any code of the product."""
    found = set()
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not (Path(place) / name).is_symlink()]
        for name in files:
            path = (Path(place) / name).relative_to(root)
            status = (root / path).lstat()
            if any(part in IGNORED or part.startswith(".project") for part in path.parts):
                continue
            suffix = path.suffix.lower() in {".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp"}
            place_in = place_by_hand(path.parts, pattern)
            if stat.S_ISREG(status.st_mode) and suffix and place_in:
                numbers = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, to_int64(status.st_ino))
                found.add(Plot(path.parts[0], *place_in, *numbers))
    return found


@contextmanager
def fresh_catalog(new_database: NewDatabase, tree: Tree, engine: str = "sqlite") -> Iterator[Catalog]:
    with new_database(engine) as database:
        catalog = Catalog(database)
        catalog.record_root(str(tree.root), tree.layout, 1)
        yield catalog


def current_by_hand(plots: set[Plot], key: PlotKey) -> Plot | None:
    copies = [plot for plot in plots if (plot.session, plot.filename) == key]
    return max(copies, key=lambda copy: (copy.mtime_ns, copy.project.encode()), default=None)


@on_both_engines
@settings(max_examples=56, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PATTERNS), st.lists(steps, min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_reconciling_what_changed_equals_a_rebuild_and_a_scan(
    new_database: NewDatabase, engine: str, pattern: str, changes: list[Step], chance: random.Random
) -> None:
    if engine != "sqlite":
        # What can go wrong with another engine does so in a few steps.
        changes = changes[:6]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tree = Tree(root, Layout(pattern))
        for number, path in enumerate(BEGINNING):
            write(root, path, "", number % 5)
        with fresh_catalog(new_database, tree, engine) as catalog:
            reconcile(tree, catalog, [""])
            for kind, path, other, number in changes:
                if kind in ("rename", "delete", "replace", "date"):
                    there = sorted(entry.relative_to(root).as_posix() for entry in root.rglob("*"))
                    path = chance.choice(there) if there else path  # noqa: PLW2901 - one that is there
                try:
                    STEPS[kind](root, path, other, number)
                except OSError:
                    (root / "new").unlink(missing_ok=True)
                    continue
                scopes = [path, other] if kind == "rename" else [path]
                chance.shuffle(scopes)
                if chance.random() < 0.5:
                    reconcile(tree, catalog, scopes)
                else:
                    for scope in scopes:
                        reconcile(tree, catalog, [scope if chance.random() < 0.8 else scope.rpartition("/")[0]])
                assert all_plots(catalog) == plots_by_hand(root, pattern)
            assert_same_answers(tree, catalog)
            assert list(differences(tree, catalog)) == []
            assert reconcile(tree, catalog, [""]).differences == 0
            with fresh_catalog(new_database, tree, engine) as rebuilt:
                reconcile(tree, rebuilt, [""])
                assert all_plots(rebuilt) == all_plots(catalog)
                assert rebuilt.counts() == catalog.counts()
            reconcile(tree, catalog, [""], Options(rewrite=True))
            assert all_plots(catalog) == plots_by_hand(root, pattern)
            assert list(differences(tree, catalog)) == []


def assert_same_answers(tree: Tree, catalog: Catalog) -> None:
    """Index and scan answer alike for every key that there is, and for some that there are not."""
    plots = plots_by_hand(tree.root, tree.layout.project_pattern)
    keys = {PlotKey(plot.session, plot.filename) for plot in plots} | {
        PlotKey(session, name)
        for session in [*SESSIONS, ".git"]
        for name in ("x.png", "sub/x.png", "gone.png", ".x.png", "sub/.x.png", ".git/x.png")
    }
    for key in keys:
        expected = current_by_hand(plots, key)
        assert catalog.current(key) == expected
        assert next(iter(tree.find(key)), None) == expected
        for project in (*PROJECTS, "."):
            copy = next((p for p in plots if (p.session, p.filename, p.project) == (*key, project)), None)
            assert catalog.copy(key, project) == copy
            assert tree.stat_plot(key.session, project, key.filename) == copy
