"""Text is compressed for clients that accept it, images never are; scripts and styles have lasting addresses."""

import gzip
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from plotindex.auth.logins import Logins
from plotindex.auth.tokens import Tokens
from plotindex.config import load_settings
from plotindex.web.assets import FOREVER, Assets, gallery_assets
from plotindex.web.compression import MAX_PADDING, MIN_BYTES
from tests import CHECKOUT
from tests.support.processes import PNG, SVG, draw
from tests.support.site import PREFIX, ServedSite, served

PLOTS = 300
LARGE_SVG = SVG + b"<!-- " + b"text " * 2_000 + b"-->"
LARGE_PNG = PNG + bytes(5_000)
ASSET = re.compile(r'(?:src|href)="(/static/[^"]+)"')
STATIC = CHECKOUT / "plotindex/web/static"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    folder = tmp_path_factory.mktemp("compressed")
    for number in range(PLOTS):
        draw(folder, f"plots/s/project_a/correlation_{number:04}.png")
    draw(folder, "plots/t/project_a/x.svg", LARGE_SVG)
    draw(folder, "plots/t/project_a/x.png", LARGE_PNG)
    with served(folder) as shared:
        yield shared


class Client(requests.Session):
    """A client with a token, or with a cookie, that shows what came over the wire."""

    def __init__(self, running: ServedSite, *, is_browser: bool = False) -> None:
        super().__init__()
        self.url = running.site.url
        if not is_browser:
            self.headers["Authorization"] = f"Bearer {running.site.token}"
            return
        settings = load_settings({}, running.environment)
        token = next(iter(Tokens.from_settings(settings).list().values()))
        code = Logins.from_settings(settings).create_code(token)
        self.post(f"{self.url}/login", params={"code": code}, timeout=20)

    def ask(self, path: str, accepts: str = "", method: str = "GET") -> tuple[requests.Response, bytes]:
        """A response, and its body as received."""
        headers = {"Accept-Encoding": accepts}
        response = self.request(method, self.url + path, headers=headers, stream=True, timeout=20)
        return response, response.raw.read(decode_content=False)


def lasting_headers(response: requests.Response) -> dict[str, str]:
    varying = {"content-encoding", "content-length", "date"}
    return {name.lower(): value for name, value in response.headers.items() if name.lower() not in varying}


@pytest.mark.parametrize("path", [f"{PREFIX}/s?limit=200", f"{PREFIX}/s?limit=50", "/api/smartstat/openapi.json"])
def test_lists_are_compressed_for_clients_that_accept_it(running: ServedSite, path: str) -> None:
    client = Client(running)
    plain, text = client.ask(path)
    for accepts in ("identity", "br", "gzip;q=0", "br, gzip;q=0.0"):
        other, body = client.ask(path, accepts)
        assert (body, other.headers.get("Content-Encoding"), other.headers["Vary"]) == (text, None, "Accept-Encoding")
    for accepts in ("gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.2", "*"):
        packed, body = client.ask(path, accepts)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(body) == text
        assert len(body) == int(packed.headers["Content-Length"]) < len(text) / 3
        assert lasting_headers(packed) == lasting_headers(plain)
    head, body = client.ask(path, "gzip", "HEAD")
    assert (head.headers["Content-Encoding"], body) == ("gzip", b"")


def test_images_and_short_answers_are_sent_as_they_are(running: ServedSite) -> None:
    client = Client(running)
    for path, content in (("/t/x.svg", LARGE_SVG), ("/t/x.png", LARGE_PNG)):
        for query in ("", "?download=1", "?unknown=1"):
            response, body = client.ask(f"{PREFIX}{path}{query}", "gzip")
            assert (body, response.headers.get("Content-Encoding"), "Vary" in response.headers) == (
                content,
                None,
                False,
            )
    for path, status in ((f"{PREFIX}/t/missing.png", 404), ("/healthz", 200), (f"{PREFIX}?limit=x", 400)):
        response, _ = client.ask(path, "gzip")
        assert (response.status_code, "Content-Encoding" in response.headers) == (status, False)


def test_the_length_of_a_compressed_answer_does_not_tell_what_a_name_has_in_common_with_a_signature(
    running: ServedSite,
) -> None:
    client = Client(running)
    lengths = [len(client.ask(f"{PREFIX}/s?limit=50", "gzip")[1]) for _ in range(20)]
    assert 1 < max(lengths) - min(lengths) < MAX_PADDING


def test_pages_name_scripts_and_styles_that_never_change_under_their_address(running: ServedSite) -> None:
    browser = Client(running, is_browser=True)
    for path in ("/", "/session/s", "/plot/t/x.png", "/compare?plot=t/project_a/x.png&plot=t/project_a/x.svg"):
        page, body = browser.ask(path, "gzip")
        assert (page.status_code, page.headers["Content-Encoding"]) == (200, "gzip")
        named = ASSET.findall(gzip.decompress(body).decode())
        assert {name.rpartition(".")[2] for name in named} == {"css", "js", "svg"}
        for address in named:
            answer, content = requests_without_login(running, address, "gzip")
            assert answer.headers["Cache-Control"] == FOREVER
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            source = (STATIC / address.split("/", 3)[3]).read_bytes()
            is_packed = answer.headers.get("Content-Encoding") == "gzip"
            assert is_packed == (len(source) >= MIN_BYTES and not address.endswith(".svg"))
            assert (gzip.decompress(content) if is_packed else content) == source
            again, nothing = requests_without_login(running, address, "gzip", answer.headers["ETag"])
            assert (again.status_code, nothing, again.headers["ETag"]) == (304, b"", answer.headers["ETag"])


def test_a_page_of_another_version_gets_the_current_script_but_does_not_keep_it(running: ServedSite) -> None:
    answer, content = requests_without_login(running, "/static/0123456789abcdef/pages/plot.js")
    assert (answer.headers["Cache-Control"], content) == ("no-cache", (STATIC / "pages/plot.js").read_bytes())
    for address in ("pages/none.js", "../templates/plot.html", "pages", ""):
        assert requests_without_login(running, f"/static/{gallery_assets().version}/{address}")[0].status_code == 404


def requests_without_login(
    running: ServedSite, address: str, accepts: str = "", etag: str = ""
) -> tuple[requests.Response, bytes]:
    headers = {"Accept-Encoding": accepts, **({"If-None-Match": etag} if etag else {})}
    response = requests.get(running.site.url + address, headers=headers, stream=True, timeout=20)
    return response, response.raw.read(decode_content=False)


def test_the_address_changes_with_each_byte_and_each_name(tmp_path: Path) -> None:
    copy = tmp_path / "static"
    shutil.copytree(STATIC, copy)
    versions = [Assets(copy).version]
    assert versions == [gallery_assets().version]
    for path in sorted(copy.rglob("*.*")):
        with path.open("ab") as file:
            file.write(b"\n")
        versions.append(Assets(copy).version)
    path.rename(path.with_name("renamed.js"))
    versions.append(Assets(copy).version)
    assert len(set(versions)) == len(versions) > 20


def test_scripts_that_import_in_circles_or_name_no_files_are_listed_once(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "a.js").write_text('import { b } from "./pages/b.js";\n// import "./none.js"\n')
    (tmp_path / "pages/b.js").write_text('import {\n  a,\n} from "../a.js";\nimport "./c.js";\n')
    (tmp_path / "pages/c.js").write_text('const text = `import "./none.js"`;\n')
    assert Assets(tmp_path).imports("pages/b.js") == ["a.js", "pages/b.js", "pages/c.js"]
