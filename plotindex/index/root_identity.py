"""Check whether the root is the one the catalogue was built from, or a lost mount."""

from plotindex.errors import RootLostError
from plotindex.index.report import Options
from plotindex.storage import Catalog, Writer
from plotindex.system import ABSENT_ERRNOS, printable
from plotindex.tree import (
    Tree,
)


def is_root_lost(tree: Tree, catalog: Catalog) -> bool:
    """Whether the root is gone or, as under a lost mount, another folder in which no session of the catalogue is.

    Raises:
        CatalogError: the catalogue cannot be read.
    """
    recorded = catalog.header().identity
    try:
        if recorded in (None, tree.identity()):
            return not tree.is_there()
        return not any(map(tree.has_session, catalog.sessions()))
    except OSError as error:
        return error.errno in ABSENT_ERRNOS


def check_root(tree: Tree, writer: Writer, options: Options) -> None:
    """Refuse to write what was seen below a root that is not the catalogue's.

    A root without its file system looks empty, and an empty root means that every plot was deleted. The same
    identity, or one session in common, tells a root that may be believed. Asked after the looks it is for.
    """
    try:
        identity = tree.identity()
    except OSError as error:
        raise RootLostError(lost_root(tree, f"cannot be seen ({error.strerror})")) from error
    header = writer.header()
    if header is not None and identity == header.identity:
        return
    sessions = writer.sessions()
    if sessions and not options.allow_empty and not any(map(tree.has_session, sessions)):
        raise RootLostError(lost_root(tree, "shares no session with the catalogue"))
    writer.record_header(identity=identity)


def lost_root(tree: Tree, what: str) -> str:
    return (
        f"The root {printable(str(tree.root))} {what}, so nothing was written: mount it again or, "
        "if its plots are really gone, run `plotindex rebuild --allow-empty`."
    )
