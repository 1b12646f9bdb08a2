"""What the extension keeps for each Flask application."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from flask import Flask

from plotindex.auth import ClockSealer, ExternalKeys, KeyFile, UrlSigner, signed_url_salt
from plotindex.config import Settings
from plotindex.errors import PlotIndexError, SettingsError
from plotindex.history.access import History
from plotindex.index import REQUEST_DATABASE_SECONDS, Lookup, make_lookup
from plotindex.rendering.thumbnails import WIDTH_ERROR, WIDTHS, Thumbnails
from plotindex.storage import Entry, Listing, entries_of, with_siblings
from plotindex.system import printable
from plotindex.web.host_app import host_signing_keys
from plotindex.web.views.list_parameters import MAX_PAGE_SIZE

MAX_RENDER_WAITERS = 1
"""Requests per process that may wait for the renderer: the number of the host's threads is unknown."""


@dataclass(frozen=True)
class AppState:
    """The extension's objects for one application."""

    app: Flask
    settings: Settings
    lookup: Lookup
    url_signer: UrlSigner
    thumbnails: Thumbnails
    clock_sealer: ClockSealer
    history: History

    @classmethod
    def create(cls, app: Flask, settings: Settings) -> Self:
        # Not the salt of `plotindex serve`, whose signed URLs end with a token: both may have the same key.
        salt = f"{signed_url_salt(settings)} in an application"
        signer = UrlSigner(ExternalKeys(lambda: host_signing_keys(app, settings)), settings.url_prefix, salt)
        sealer = ClockSealer(ExternalKeys(lambda: _clock_keys(app, settings)), str(settings.root))
        lookup = make_lookup(settings)
        history = History.from_settings(settings, lookup.tree, REQUEST_DATABASE_SECONDS)
        return cls(app, settings, lookup, signer, Thumbnails(settings, MAX_RENDER_WAITERS), sealer, history)

    def sign_url(self, session_id: str, filename: str, parameters: Mapping[str, str], seconds: float) -> str:
        """The signed path and query of a plot, its picture or its sibling.

        Raises:
            PlotIndexError: not a valid plot, width or format.
            SettingsError: there is no key.
        """
        key = self.lookup.tree.layout.parse_key(session_id, filename)
        if key is None:
            raise PlotIndexError(
                f"{printable(f'{session_id}/{filename}')} is not a valid plot: check session and filename."
            )
        width = parameters.get("width")
        if width is not None and width not in WIDTHS:
            raise PlotIndexError(f"{WIDTH_ERROR}, not {width}.")
        wanted = parameters.get("format")
        if wanted is not None and not self.lookup.tree.layout.sibling_names(filename, wanted):
            raise PlotIndexError(
                f"A format is a suffix without its dot, in lower case, such as pdf, not {printable(wanted)}."
            )
        if not host_signing_keys(self.app, self.settings):
            raise SettingsError("There is no key to sign URLs with: set app.secret_key or PLOTINDEX_SECRET_KEY.")
        return self.url_signer.sign(key, parameters, seconds)

    def entries(self, session: str) -> Iterator[Entry]:
        """All entries of a session, by filename."""
        if not self.lookup.has_catalog():
            yield from with_siblings(entries_of(self.lookup.scan_session(session)))
            return
        listing = Listing(self.lookup.catalog.database)
        after: str | None = ""
        while after is not None:
            page = listing.plots(session, MAX_PAGE_SIZE, after)
            yield from page.entries
            after = page.next


def _clock_keys(app: Flask, settings: Settings) -> Sequence[bytes]:
    """The keys that encrypt clocks: the application's, or else those of the state folder."""
    keys = host_signing_keys(app, settings)
    if keys:
        return keys
    try:
        # Not for several nodes, each of which has a folder of its own.
        keys = [] if settings.is_shared else KeyFile.from_settings(settings).load_or_create()
    except (OSError, SettingsError):
        keys = []
    return keys or [str(settings.catalog_location).encode("utf-8", "surrogateescape")]
