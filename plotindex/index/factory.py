"""Build a tree, a catalogue and a lookup from settings."""

from plotindex.config import Settings
from plotindex.index.lookup import Lookup
from plotindex.storage import READ_SECONDS, Catalog, open_database
from plotindex.tree import Scanner, Tree

REQUEST_DATABASE_SECONDS = 0.25
"""How long a request waits for a foreign program that locks the database; then it scans."""


def make_lookup(settings: Settings) -> Lookup:
    """The lookup for a server, whose scans run in child processes. Opens, creates and starts nothing.

    Logs that the root is missing.
    """
    catalog = Catalog(open_database(settings.catalog_location, REQUEST_DATABASE_SECONDS))
    tree = make_tree(settings)
    lookup = Lookup(tree, catalog, heal=settings.heal, lock=settings.indexer_lock, scanner=Scanner(tree))
    lookup.report_root()
    return lookup


def make_tree(settings: Settings) -> Tree:
    return Tree(settings.root, settings.layout)


def prepare_catalog(settings: Settings, *, adopt: bool = False) -> Catalog:
    """The catalogue for the indexer, created or migrated if necessary."""
    if not settings.database:
        settings.make_state_folder()
    catalog = Catalog(open_database(settings.catalog_location))
    catalog.initialise(str(settings.root), settings.layout, adopt=adopt)
    return catalog


def open_catalog(settings: Settings, timeout: float = READ_SECONDS) -> Catalog:
    """The existing catalogue, for commands that change nothing; `timeout` is for a foreign program that locks it."""
    catalog = Catalog(open_database(settings.catalog_location, timeout))
    catalog.require_root(str(settings.root))
    return catalog
