"""The gallery's scripts, styles and icon, under addresses that change with their content."""

import re
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from mimetypes import guess_type
from posixpath import dirname, join, normpath

from flask import Response, abort, request

FOREVER = "public, max-age=31536000, immutable"
# Not of the comments in vendored scripts: an import begins a line.
IMPORT = re.compile(r"""^import [^"';]*["'](\.[^"']+)["']""", re.MULTILINE)


class Assets:
    """All files below the folder `static`, as they were when the first one was needed."""

    def __init__(self, folder: Traversable) -> None:
        self._contents = dict(sorted(_read(folder)))
        digest = blake2b(digest_size=8)
        for name, content in self._contents.items():
            digest.update(b"%s\0%d\0%s" % (name.encode(), len(content), content))
        self.version = digest.hexdigest()
        """Changes with any of the files: scripts import each other by relative addresses, below the same version."""

    @cache  # noqa: B019 - there is one object, which stays
    def imports(self, script: str) -> list[str]:
        """The scripts that a script needs, also indirectly, in the order of their names."""
        found: set[str] = set()
        names = [script]
        while names:
            name = names.pop()
            for path in IMPORT.findall(self._contents[name].decode()):
                imported = normpath(join(dirname(name), path))
                if imported not in found:
                    found.add(imported)
                    names.append(imported)
        return sorted(found)

    def respond(self, version: str, filename: str) -> Response:
        """The file, which never changes under the address with the current version.

        Others get the current file, too: pages may come from a server of another version.
        """
        content = self._contents.get(filename)
        if content is None:
            abort(404)
        response = Response(content, mimetype=guess_type(filename)[0])
        response.headers["Cache-Control"] = FOREVER if version == self.version else "no-cache"
        # Weak: compressed or not, it is the same.
        response.set_etag(self.version, weak=True)
        response.make_conditional(request)
        return response


@cache
def gallery_assets() -> Assets:
    """The gallery's files."""
    return Assets(files("plotindex.web") / "static")


def _read(folder: Traversable, prefix: str = "") -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        found += _read(entry, f"{name}/") if entry.is_dir() else [(name, entry.read_bytes())]
    return found
