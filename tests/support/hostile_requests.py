"""Path traversal requests: known tricks, in each part of a URL and in each encoding.

The project or document named with a trick was vulnerable to it, or describes it; a number after a project is that of
its issue or pull request. None may get a byte: test_hostile_names.py.
"""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

PREFIX = b"/api/smartstat/plots"
OUTSIDE = b"{outside}"
"""Placeholder for the root's parent folder, which holds secret.png and project_a/secret.png."""
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Never allowed in logs or terminals: control characters except newline, bidirectional marks."""


class HostileRequest(NamedTuple):
    """One request."""

    where: str
    """The hostile part: session, filename, project, v or target."""
    raw: bytes
    """That part, as sent."""
    trick: str

    def target(self, outside: Path) -> bytes:
        """The request target, as sent."""
        raw = self.raw.replace(OUTSIDE, str(outside).encode())
        return {
            "session": PREFIX + b"/" + raw + b"/secret.png",
            "filename": PREFIX + b"/s/" + raw,
            "project": PREFIX + b"/s/secret.png?project=" + raw,
            "v": PREFIX + b"/s/x.png?download=1&v=" + raw,
            "target": raw,
        }[self.where]


def encode(text: bytes) -> bytes:
    """Every byte of `text` as a percent escape."""
    return b"".join(b"%%%02x" % byte for byte in text)


DOTS = {
    b"..": "plain: aiohttp CVE-2024-23334, Gradio CVE-2023-51449, MLflow CVE-2023-2356, Aim CVE-2021-43775",
    b"%2e%2e": "encoded: TensorBoard 3134, kernelsauce/turbo 57, senchalabs/connect 198",
    b"%2E%2e": "encoded in both cases",
    b".%2e": "half encoded: Apache 2.4.49 CVE-2021-41773",
    b"%252e%252e": "twice: MLflow CVE-2024-1560",
    b"%25252e%25252e": "three times",
    b"%%32%65%%32%65": "digits of the escape encoded: Apache 2.4.50 CVE-2021-42013",
    b"%c0%ae%c0%ae": "overlong UTF-8 in two bytes: IIS MS00-078",
    b"%e0%80%ae%e0%80%ae": "overlong UTF-8 in three bytes",
    b"%u002e%u002e": "the %u escapes of IIS",
    encode("\uff0e\uff0e".encode()): "fullwidth full stops, which NFKC makes dots",
    encode("\u2025".encode()): "a two dot leader, which NFKC makes two dots",
    b"..;": "a path parameter: Tomcat and Jetty behind a proxy, MLflow CVE-2024-1593",
    b"..%3b": "a path parameter, encoded",
    b"..%00": "NUL after the dots",
    b"..%20": "a space after the dots, which Windows drops",
    b"..%0a": "a line break after the dots, at which many patterns end",
    b"...": "three dots, which old Windows takes for two folders up",
}
SLASHES = {
    b"/": "plain slash",
    b"//": "two slashes",
    b"/./": "slash dot slash",
    b"%2f": "encoded slash: copyparty CVE-2023-37474, aiohttp CVE-2024-23334",
    b"%252F": "slash encoded twice: IIS MS01-026",
    b"%%32%66": "slash with the digits of its escape encoded",
    b"%c0%af": "overlong slash: IIS MS00-078",
    b"%e0%80%af": "overlong slash in three bytes",
    encode("\uff0f".encode()): "fullwidth solidus, which NFKC makes a slash",
    encode("\u2215".encode()): "division slash",
    b"\\": "backslash: MLflow CVE-2023-2780, Gradio CVE-2023-51449",
    b"%5c": "encoded backslash: Jellyfin CVE-2021-21402, vert-x3/vertx-web 1714, WebP Server Go CVE-2026-53779",
    b"%255c": "backslash encoded twice: IIS MS01-026",
}
ATOMS = {
    OUTSIDE + b"/secret.png": "an absolute path: Gradio CVE-2026-28414, Aim CVE-2021-43775",
    b"/" + OUTSIDE + b"/secret.png": "an absolute path with two slashes",
    b"/etc/passwd": "an absolute path: copyparty CVE-2023-37474",
    OUTSIDE + b"/plots/../secret.png": "the root's own path first: PortSwigger's lab of prefixes",
    b"../../../plots-secret/project_a/secret.png": "a sibling of the same prefix: Starlette CVE-2023-29159, "
    "Jupyter Server CVE-2026-35397, web2py 2598",
    b"../../other/project_a/secret.png": "another session",
    b"../elsewhere/secret.png": "a folder that is no project",
    b"..": "one folder up and nothing else",
    b".": "this folder",
    b"": "nothing",
    b"file://" + OUTSIDE + b"/secret.png": "a file: address: MLflow CVE-2023-1177, CVE-2024-1483",
    b"http:///#/../../../../secret.png": "dots in a fragment: MLflow CVE-2024-1483, CVE-2024-3848",
    b"h#/../../../../secret.png": "dots behind a fragment: Grafana CVE-2021-43798 behind nginx",
    b"h;/../../../../secret.png": "dots behind a parameter: MLflow CVE-2024-1593",
    b"....//....//....//secret.png": "what is left when ../ is removed once: PortSwigger's lab",
    b"..././..././..././secret.png": "what is left when ../ is removed once",
    b"../" * 12 + b"etc/passwd\0.png": "NUL truncation: PortSwigger's lab",
    b"../../../secret.png\0": "NUL at the end",
    b"x.png\0": "NUL at the end of what exists",
    b"x\0.png": "NUL within",
    b"C:\\secret.png": "a drive: Starlette 981, HTTP.jl JLSEC-2026-612",
    b"c:secret.png": "relative to a drive: Werkzeug 2349",
    b"\\\\evil\\share\\x.png": "UNC: Starlette CVE-2026-48818",
    b"\\\\?\\C:\\x.png": "a prefix of Windows: Streamlit 13733",
    b"\\\\.\\device\\x.png": "a device of Windows: Streamlit 13733",
    b"NUL": "a device name: Werkzeug CVE-2025-66221",
    b"sub/con.png": "a device name in a folder: Werkzeug CVE-2026-27199",
    b"x.png::$DATA": "a stream of NTFS",
    b"~/secret.png": "a home folder",
    b"~root/x.png": "another's home folder",
    b"x.png.": "a trailing dot, which Windows drops",
    b"x.png ": "a trailing space, which Windows drops",
    b"x.png/": "a trailing slash: CWE-49",
    b"x.png/.": "a trailing dot as a part",
    b"sub/../x.png": "there and back",
    b"x.png\n": "a line break at the end, which $ takes for the end",
    b"x.png\r\nSet-Cookie: injected=1": "a header injected: code.org 66032, oven-sh/bun 26959",
    b"x.png\r\n\r\n<script>injected</script>": "an answer split",
    b'x.png"; filename="injected.html': "a parameter injected: SQLPage 1309",
    b"\x1b[31mx\x1b]0;injected\x07.png": "escape codes for the terminal that shows the log",
    "\u202egnp.injected\u2066.png".encode(): "bidirectional marks",
    b"\xff.png": "no UTF-8",
    b"\xed\xb3\xbf.png": "a surrogate in UTF-8",
    b"\xf4\x90\x80\x80.png": "beyond Unicode in UTF-8",
    b"n" * 300 + b".png": "a name longer than file systems have",
    b"d/" * 3000 + b"x.png": "a path longer than the kernel takes",
    b"link.png": "a symlink to a file: filebrowser GHSA-239w-m3h6-ch8v, live-server (418sec/huntr 1809)",
    b"passwd.png": "a symlink to /etc/passwd",
    b"tokens.png": "a symlink to the tokens",
    b"catalog.png": "a symlink to the catalogue",
    b"inside.png": "a symlink to a plot",
    b"dir/secret.png": "a symlink to a folder",
    b"dir/project_a/secret.png": "a folder below a symlink",
    b"linked": "a session that is a symlink",
    b"project_linked": "a project that is a symlink",
    b"fifo.png": "a FIFO, which hangs who opens it",
    b"socket.png": "a socket",
    b"device.png": "a device",
    b"folder.png": "a folder called like a plot",
    b"notes.txt": "a suffix outside the set",
    b"x.png.gz": "a compressed variant that is a symlink: aiohttp before 3.10.2",
    b".png": "a suffix alone",
}
TARGETS = {
    b"../../secret.png": "no slash at the start: facil.io 170",
    b"/../secret.png": "above everything",
    b"//secret.png": "two slashes",
    b"//evil.example/%2f..": "a redirect elsewhere: Tornado 3266, labstack/echo 2259, Django CVE-2018-14574",
    b"/\\evil.example/..": "a redirect elsewhere by a backslash",
    b"http://evil.example" + PREFIX + b"/s/../../secret.png": "the absolute form of a target",
    b"file://" + OUTSIDE + b"/secret.png": "the absolute form with a file",
    b"*": "the asterisk form",
    PREFIX + b"/": "an empty session",
    PREFIX + b"/s/": "an empty filename",
    PREFIX + b"//s/x.png": "two slashes before the session",
    PREFIX + b"/s//x.png": "two slashes before the filename",
    PREFIX + b"../secret.png": "nginx's alias: Samsung/qaboard 83, Label Studio GHSA-cpmr-mw4j-99r7",
    PREFIX + b"/s../secret.png": "nginx's alias, one folder deeper",
    PREFIX + b";/s/x.png": "a parameter at the prefix",
    PREFIX.upper() + b"/s/x.png": "another case",
    b"/static/../gallery.py": "the program's own files",
    b"/static/%2e%2e/gallery.py": "the program's own files, encoded",
    b"/static/..%2fgallery.py": "the program's own files, slash encoded",
    b"/static/..%5cgallery.py": "the program's own files, backslash",
    b"/static/%2fetc%2fpasswd": "an absolute path below static",
    b"/static//evil.example": "slashes that a redirect would merge, to the host that the caller names",
    PREFIX + b"/s/%": "an escape without digits",
    PREFIX + b"/s/%2": "half an escape",
    PREFIX + b"/s/%zz/%2e%2e/secret.png": "an escape that is none",
    PREFIX + b"/s/x.png%": "half an escape after what exists",
    PREFIX + b"/s/\xff.png": "no ASCII",
}
PLACES = "session", "filename", "project", "v"


def climbs() -> Iterator[HostileRequest]:
    """Up out of the root, dots and slashes each spelt in each way."""
    for (dots, one), (slash, other) in product(DOTS.items(), SLASHES.items()):
        up, trick = dots + slash, f"{one}; {other}"
        yield HostileRequest("filename", up * 3 + b"secret.png", trick)
        yield HostileRequest("session", b"s" + slash + up + dots, trick)
        yield HostileRequest("project", b"project_a" + slash + up * 2 + dots, trick)


def spellings() -> Iterator[HostileRequest]:
    """Each atom in each place: plain, encoded once, twice, and half."""
    for (atom, trick), where in product(ATOMS.items(), PLACES):
        # Only names that match the pattern are projects.
        forms = [(atom, "")] if where != "project" else [(atom, ""), (b"project_" + atom, "after project_; ")]
        for form, note in forms:
            # The placeholder stays unencoded, to be replaced later.
            head, place, rest = form.partition(OUTSIDE)
            once = encode(head) + place + encode(rest)
            mixed = head + place + encode(rest[: len(rest) // 2]) + rest[len(rest) // 2 :]
            for raw, how in [
                (form, "as it is"),
                (once, "encoded once"),
                (once.replace(b"%", b"%25"), "encoded twice"),
                (mixed, "half encoded"),
            ]:
                yield HostileRequest(where, raw, f"{trick}; {note}{how}")


def each_once() -> list[HostileRequest]:
    """All requests, without duplicates."""
    targets = (HostileRequest("target", raw, trick) for raw, trick in TARGETS.items())
    first: dict[tuple[str, bytes], HostileRequest] = {}
    for one in (*climbs(), *spellings(), *targets):
        first.setdefault((one.where, one.raw), one)
    return list(first.values())


HOSTILE_REQUESTS = each_once()
