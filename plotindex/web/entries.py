"""Entries of lists as JSON.

Written as text: in a list of thousands, building objects and serialising these costs as much as everything else.
"""

from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring_ascii as quoted

from plotindex.storage import Entry
from plotindex.system import rfc3339
from plotindex.tree import Plot, PlotKey

PlotUrl = Callable[[PlotKey, Mapping[str, str]], str]
"""Returns the URL of a plot with query parameters."""


def below(mount: str, path_of: PlotUrl) -> PlotUrl:
    """The same paths, of an application that is mounted there."""
    return (lambda key, parameters: mount + path_of(key, parameters)) if mount else path_of


def copy_url(plot: Plot, plot_url: PlotUrl) -> str:
    """The URL of a copy, which is cached while it is at this version."""
    return plot_url(PlotKey(plot.session, plot.filename), {"project": plot.project, "v": plot.version})


def version_url(plot: Plot, plot_url: PlotUrl) -> str:
    """The URL of exactly this version."""
    return plot_url(PlotKey(plot.session, plot.filename), {"project": plot.project, "version": plot.version})


class JsonText(str):
    """A JSON value."""

    __slots__ = ()


def entries_to_json(entries: Iterable[Entry], plot_url: PlotUrl, *, of_project: bool = False) -> JsonText:
    """The array of these entries. In the list of a project an address names it: the key may answer with another."""
    return JsonText(f"[{','.join([_entry_to_json(entry, plot_url, of_project) for entry in entries])}]")


def _entry_to_json(entry: Entry, plot_url: PlotUrl, of_project: bool) -> str:
    """The object of an entry: its current copy, all copies, and the suffixes of its siblings."""
    key, versions, descriptions = entry.key, [], []
    for copy in entry.copies:
        versions.append(copy.version)
        descriptions.append(
            f'"project":{quoted(copy.project)},"size":{copy.size},'
            f'"mtime":"{rfc3339(copy.mtime_ns)}","version":"{versions[-1]}"'
        )
    copies = [
        f'{{{description},"url":{quoted(plot_url(key, {"project": copy.project, "v": version}))}}}'
        for copy, version, description in zip(entry.copies, versions, descriptions, strict=True)
    ]
    own = {"project": entry.copies[0].project} if of_project else {}
    siblings = ",".join(map(quoted, entry.siblings))
    return (
        f'{{"session":{quoted(key.session)},"filename":{quoted(key.filename)},{descriptions[0]},'
        f'"url":{quoted(plot_url(key, {**own, "v": versions[0]}))},"copies":[{",".join(copies)}],'
        f'"siblings":[{siblings}]}}'
    )
