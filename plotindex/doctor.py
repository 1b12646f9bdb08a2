"""What on this machine would hurt, and what mends it."""

from itertools import islice
from typing import NamedTuple

from plotindex.layout import printable
from plotindex.symlinks import Symlink, find_symlinks
from plotindex.tree import Tree

MOST_NAMED = 1_000


class Finding(NamedTuple):
    """One thing that was looked at: "ok", or "bad" with what mends it."""

    verdict: str
    seen: str
    remedy: str = ""

    def as_text(self) -> str:
        remedy = f": {self.remedy}" if self.remedy else ""
        return f"{self.verdict:4}{self.seen}{remedy}"


def examine(tree: Tree) -> list[Finding]:
    """Everything that was looked at, the good as well."""
    links = list(islice(find_symlinks(tree), MOST_NAMED + 1))
    if not links:
        return [Finding("ok", "No session, project or plot is a symlink")]
    found = [_describe(link) for link in links[:MOST_NAMED]]
    if len(links) > MOST_NAMED:
        found.append(Finding("bad", "There are more symlinks than are named here", "mend these first"))
    return found


def _describe(link: Symlink) -> Finding:
    remedy = "if that is a plot, copy it there; if not, remove the link"
    if link.kind != "plot":
        remedy = "if those are plots, mount it there (mount --bind) or move it; if not, remove the link"
    leads = f"{printable(link.path)} is a {link.kind} by a symlink to {printable(link.target)}"
    return Finding("bad", f"{leads}, which is not followed, so it is not served", remedy)
