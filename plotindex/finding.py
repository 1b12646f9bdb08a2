"""Looking for plots by name, project and age; and the names that a shell can complete."""

from plotindex.storage import Catalog
from plotindex.system import ABSENT
from plotindex.tree import Tree


def is_away(tree: Tree, catalog: Catalog) -> bool:
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
        return error.errno in ABSENT
