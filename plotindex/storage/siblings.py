"""Siblings: plots of one project and folder that differ in their suffix alone. They are one plot in several formats."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from plotindex.tree import Plot

SHOWN_FIRST = ("png", "webp", "avif", "svg", "gif", "jpg", "jpeg", "pdf", "tif", "tiff")
"""Formats as the gallery prefers them; as in shared/formats.js, which says why."""
TOGETHER_NS = 60_000_000_000
"""Files drawn within so much time are drawn together: an older one may show another state of the plot."""

Name = tuple[str, str]
"""Filename and project of a plot in one session."""
Formats = Mapping[Name, Collection[str]]
"""The suffixes, without the dot and in lower case, by filename without a suffix, and project."""


def possible_siblings(filename: str, suffixes: Iterable[str]) -> list[str]:
    """The names that siblings of a plot can have; a suffix is in lower or in upper case."""
    stem, _, _ = filename.rpartition(".")
    return [stem + spelled for suffix in suffixes for spelled in (suffix, suffix.upper()) if stem + spelled != filename]


def collect_formats(names: Iterable[Name]) -> Formats:
    """The formats of these plots."""
    formats: defaultdict[Name, set[str]] = defaultdict(set)
    for filename, project in names:
        stem, _, suffix = filename.rpartition(".")
        if suffix.islower() or suffix.isupper():
            formats[stem, project].add(suffix.lower())
    return formats


def sibling_suffixes(filename: str, project: str, formats: Formats) -> list[str]:
    """The suffixes of a copy's siblings, without the dot and in lower case, other than its own."""
    stem, _, suffix = filename.rpartition(".")
    found = formats.get((stem, project), ())
    return [other for other in sorted(found) if other != suffix.lower()]


def one_of_each(plots: Iterable[Plot], preferred: str = "") -> list[Plot]:
    """Of plots that are siblings only the one to show, `preferred` before others, in the place of the first."""
    groups: defaultdict[tuple[str, str, str], list[Plot]] = defaultdict(list)
    for one in plots:
        groups[one.session, one.project, stem_of(one.filename)].append(one)
    return [_shown(group, preferred) for group in groups.values()]


def stem_of(filename: str) -> str:
    """A filename up to its suffix, with the dot."""
    return filename[: filename.rindex(".") + 1]


def _shown(files: Sequence[Plot], preferred: str) -> Plot:
    newest = max(file.mtime_ns for file in files)
    recent = [file for file in files if file.filename == preferred or file.mtime_ns >= newest - TOGETHER_NS]
    return min(recent, key=lambda file: (file.filename != preferred, _rank(file.filename), file.filename))


def _rank(filename: str) -> int:
    suffix = _suffix(filename)
    return SHOWN_FIRST.index(suffix) if suffix in SHOWN_FIRST else len(SHOWN_FIRST)


def _suffix(filename: str) -> str:
    return filename.rpartition(".")[2].lower()
