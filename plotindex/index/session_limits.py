"""Enforce the limits of sessions within one write transaction."""

from collections.abc import Sequence

from plotindex.storage import Catalog, Change, Writer
from plotindex.tree import Layout, Plot, Row, sum_names_bytes


class SessionLimits:
    """The limits of a session (plots, bytes of filenames), enforced on what one transaction has written."""

    def __init__(self, layout: Layout, catalog: Catalog, writer: Writer) -> None:
        self._layout = layout
        self._catalog = catalog
        self._writer = writer
        self._names_bytes: dict[str, int] = {}

    def enforce(self, changes: Sequence[Change], added: Sequence[Sequence[Row]]) -> tuple[list[Plot], list[str]]:
        """Truncate the changed sessions beyond a limit.

        Returns the plots to remove, and the sessions that are truncated but have room. `changes` and `added` are what
        the transaction has written.
        """
        layout, truncations = self._layout, self._writer.truncations
        beyond, with_room = [], []
        for session, plots in self._writer.plot_counts.items():
            names_bytes = self._count_names_bytes(session, plots, changes, added)
            has_room_for = layout.max_names_bytes - names_bytes
            cutoff = truncations.cutoff(session)
            if plots > layout.max_plots or has_room_for < 0:
                self._names_bytes.pop(session, None)
                limits = layout.max_plots, layout.max_names_bytes if has_room_for < 0 else None
                beyond += truncations.truncate_to(session, *limits)
            elif cutoff is not None and plots < layout.max_plots and has_room_for >= len(cutoff.encode()):
                with_room.append(session)
        return beyond, with_room

    def remember(self) -> None:
        """Keep the sums for the next transaction; call after the commit."""
        for session, names_bytes in self._names_bytes.items():
            self._catalog.known_names_bytes[session] = (self._writer.clocks[session], names_bytes)

    def _count_names_bytes(
        self, session: str, plots: int, changes: Sequence[Change], added: Sequence[Sequence[Row]]
    ) -> int:
        """The bytes of a session's filenames now; an upper bound if it has room for another one anyway."""
        if self._layout.is_within_names(plots + 1):
            return plots * self._layout.max_filename_bytes
        clock, known = self._catalog.known_names_bytes.get(session, (None, 0))
        if clock is None or clock != self._writer.former_clocks.get(session):
            total = self._writer.names_bytes(session)
        else:
            total = known + _growth(session, changes, added)
        self._names_bytes[session] = total
        return total


def _growth(session: str, changes: Sequence[Change], added: Sequence[Sequence[Row]]) -> int:
    """By how many bytes the filenames of a session have grown."""
    rows: dict[bool, list[Row]] = {False: [], True: []}
    for change in changes:
        for is_new, plot in enumerate(change):
            if plot is not None and plot.session == session:
                rows[bool(is_new)].append(plot)
    new = [*rows[True], *(row for own in added if own[0][0] == session for row in own)]
    return sum_names_bytes(new) - sum_names_bytes(rows[False])
