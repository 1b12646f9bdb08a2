"""Whether the catalogue can answer for a root, and whether it is kept up to date."""

import socket
from typing import NamedTuple

from plotindex.storage import HEARTBEAT_SECONDS, Catalog, Heartbeat
from plotindex.tree import Tree


class CatalogState(NamedTuple):
    """The state of a catalogue; the default is that of one that cannot be read."""

    is_usable: bool = False
    """Whether it can be read and belongs to this root."""
    is_watched: bool = False
    """Whether every change reaches it by an event: hits are current."""
    is_maintained: bool = False
    """Whether an indexer keeps it up to date, by events or by polling."""
    is_root_lost: bool = False
    """Whether all running indexers report that the root is missing."""
    local_indexers: tuple[Heartbeat, ...] = ()
    """The running indexers, if all of them run on this host."""


def read_catalog_state(tree: Tree, catalog: Catalog) -> CatalogState:
    """The state now.

    Raises:
        CatalogError: the catalogue cannot be read.
    """
    catalog.database.check_replaced()
    catalog.database.require_schema()
    header, heartbeats = catalog.header(), catalog.heartbeats()
    is_usable = header.root == str(tree.root)
    if is_usable:
        catalog.database.mark_as_own()
    recent = tuple(heartbeat for heartbeat in heartbeats if heartbeat.is_recent)
    # Sessions that are late by their own changes make hits `unwatched`, but not the service unready.
    states = {heartbeat.state for heartbeat in recent if heartbeat.others_behind < HEARTBEAT_SECONDS}
    is_of_grammar = header.matches(tree.layout)
    return CatalogState(
        is_usable=is_usable,
        # An indexer that fell silent may have been the only one to see the writes of its host.
        is_watched=is_of_grammar and all(map(_keeps_up, heartbeats)) and "watching" in states,
        is_maintained=is_of_grammar and bool(states & {"watching", "polling"}),
        is_root_lost=is_usable and bool(recent) and all(heartbeat.state == "lost" for heartbeat in recent),
        local_indexers=recent if all(heartbeat.host == socket.gethostname() for heartbeat in recent) else (),
    )


def _keeps_up(heartbeat: Heartbeat) -> bool:
    """Whether an indexer is up to date, still starting, or was stopped properly."""
    if heartbeat.state in ("stopped", "starting"):
        return True
    return heartbeat.is_recent and heartbeat.behind < HEARTBEAT_SECONDS and heartbeat.is_healthy
