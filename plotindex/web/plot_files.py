"""Plots for the code of a host: open them, list them, and list what was kept of them."""

import json
import os
from abc import ABC, abstractmethod
from typing import Any, BinaryIO, cast

from flask import has_request_context, request

from plotindex.index import Lookup
from plotindex.tree import PlotKey
from plotindex.web.app_state import AppState
from plotindex.web.entries import PlotUrl, below, entries_to_json
from plotindex.web.kept_versions import KeptAccess, open_version, present_copies, version_name
from plotindex.web.views.history import kept_to_json
from plotindex.web.views.list_parameters import MAX_PAGE_SIZE


class PlotFiles(ABC):
    """Access without any check of permission: the caller decides who may see the plots."""

    @property
    @abstractmethod
    def lookup(self) -> Lookup:
        """The lookup of the current application."""

    @abstractmethod
    def _state(self) -> AppState:
        """The state for the current application."""

    def open(
        self, session_id: str, filename: str, project: str | None = None, *, version: str | None = None
    ) -> BinaryIO | None:
        """Open the current copy of a key, or that project's copy, for reading; None if there is none.

        With `version`, exactly those bytes: of a version that was kept since the present folder of the session was
        first seen, or of the plot as it is.

        Checks no permission: the caller decides who may see the plot.

        Raises:
            ScansBusyError: the plot is not in the catalogue, and too many scans are running.
            RootLostError: the plot was not found, and the root is missing.
            CatalogError: the history cannot be read.
            DamagedVersionError: the kept bytes are damaged.
            OSError: the file cannot be opened.
        """
        if version is None:
            opened = self.lookup.open(session_id, filename, project).opened
        else:
            kept = KeptAccess(self._state().history, is_limited=True)
            found = open_version(self.lookup, kept, PlotKey(session_id, filename), version, project)
            opened = found.opened if found else None
        return cast(BinaryIO, os.fdopen(opened.fd, "rb")) if opened else None

    def history(self, session_id: str, filename: str) -> "list[dict[str, Any]]":
        """The kept versions of a key, the newest first, with the fields of the HTTP route, of the present folder.

        Checks no permission: the caller decides who may see the plots.

        Raises:
            CatalogError: the history cannot be read.
            OSError: the session cannot be looked at.
        """
        state = self._state()
        plot_url = self._plot_url()
        found: list[dict[str, Any]] = []
        after: str | None = ""
        present = set(map(version_name, present_copies(self.lookup, PlotKey(session_id, filename))))
        while after is not None:
            page = state.history.versions(session_id, filename, None, MAX_PAGE_SIZE, after, is_limited=True)
            found += [kept_to_json(kept, plot_url, present) for kept in page.versions]
            after = page.next
        return found

    def list(self, session_id: str) -> "list[dict[str, Any]]":
        """All entries of a session by filename, with the fields of the HTTP lists; empty for an unknown session.

        Checks no permission: the caller decides who may see the plots.

        Raises:
            ScansBusyError: there is no catalogue, and too many scans are running.
            CatalogError: the catalogue cannot be read.
            OSError: there is no catalogue, and a folder cannot be read.
        """
        entries: list[dict[str, Any]] = json.loads(entries_to_json(self._state().entries(session_id), self._plot_url()))
        return entries

    def _plot_url(self) -> PlotUrl:
        mounted_at = request.script_root if has_request_context() else ""
        return below(mounted_at, self._state().url_signer.unsigned_path)
