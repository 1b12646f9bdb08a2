"""Build a tree, a catalogue and a lookup from settings."""

from plotindex.config import Settings
from plotindex.index.lookup import Lookup
from plotindex.storage import READ_SECONDS, Catalog, open_database
from plotindex.tree import Tree

REQUEST_DATABASE_SECONDS = 0.25
"""How long a request waits for a program that holds the database; after that it is answered by a scan."""


def make_lookup(settings: Settings) -> Lookup:
    """The look-up that settings describe. Opens and creates nothing."""
    tree = Tree(settings.root, settings.layout)
    database = open_database(settings.catalog_location, REQUEST_DATABASE_SECONDS)
    return Lookup(tree, Catalog(database), heal=settings.heal, lock=settings.indexer_lock)


def make_tree(settings: Settings) -> Tree:
    """The tree of the root."""
    return Tree(settings.root, settings.layout)


def prepare_catalog(settings: Settings, *, adopt: bool = False) -> Catalog:
    """The catalogue, created or migrated when it has to be."""
    if not settings.database:
        settings.make_state_folder()
    catalog = Catalog(open_database(settings.catalog_location))
    catalog.initialise(str(settings.root), settings.layout, adopt=adopt)
    return catalog


def open_catalog(settings: Settings, patience: float | None = None) -> Catalog:
    """The catalogue as it is, for commands that change nothing; `patience` as that of `SqliteDatabase`."""
    catalog = Catalog(open_database(settings.catalog_location, READ_SECONDS if patience is None else patience))
    catalog.require_root(str(settings.root))
    return catalog
