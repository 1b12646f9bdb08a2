"""Record in the catalogue how far inspection is."""

import socket
import time

from plotindex.inspection.inspector import Step
from plotindex.storage import Catalog, FactsReader, FactsWriter, InspectionState

REPORT_SECONDS = 15.0


class Reporter:
    """Measures the pace, and records it with the number of plots that wait."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._recorded: tuple[int, str] | None = None
        self._report_at = 0.0
        self._since = time.monotonic()
        self._inspected = 0
        self._pace = 0.0

    def count(self, step: Step) -> None:
        """Count what a step has done; record it from time to time.

        Raises:
            CatalogError: the catalogue cannot be used.
        """
        now = time.monotonic()
        self._inspected += step.inspected
        if now < self._report_at:
            return
        if self._inspected:
            self._pace = (now - self._since) / self._inspected
        self._report_at = now + REPORT_SECONDS
        self._since, self._inspected = now, 0
        with self._catalog.database.reading() as connection:
            found = FactsReader(connection).count_waiting(), step.problem
        if found == self._recorded:
            return
        waiting, problem = self._recorded = found
        state = InspectionState(socket.gethostname(), time.time(), waiting, self._pace, problem)
        with self._catalog.writing() as writer:
            FactsWriter(writer.connection).set_state(state)
