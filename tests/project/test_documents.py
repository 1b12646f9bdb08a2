"""Each command that the documents show in a block of its own is executed here as it stands there, in their order.

Only places are others: of the root, the state, the units, what is written, and the port.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from tests import CHECKOUT
from tests.project.test_documented_commands import documents
from tests.support.processes import Service, clean_environment, draw, free_port, run_plotindex

SERVER = "postgresql+psycopg://plotindex@db.example.org/plotindex"
POSTGRESQL = (
    "createuser --pwprompt plotindex",
    "createdb --owner plotindex --encoding UTF8 --template template0 plotindex",
    f"plotindex watch --root /srv/plots --database {SERVER}",
    f"PLOTINDEX_SECRET_KEY=the-same-key-on-each-node plotindex serve --root /srv/plots --database {SERVER}",
    f"plotindex status --root /srv/plots --database {SERVER}",
)
"""What docs/postgresql.md shows."""
ELSEWHERE = {
    "git clone <this repository> plotindex && cd plotindex": "this is such a clone",
    **dict.fromkeys(
        ("make run", "PLOTINDEX_PORT=8518 make run ROOT=/srv/plots"),
        "tests/cli/test_processes.py runs what it runs",
    ),
    "make torture SECONDS=600 SEED=1 KILL=5": "tests/guarantees/test_torture.py, for a shorter time",
    **dict.fromkeys(("make check", "make test", "make acceptance"), "for maintainers: the tests are this"),
    **dict.fromkeys(
        (
            "sudo /usr/bin/python3 -m venv /opt/plotindex",
            "sudo /opt/plotindex/bin/pip install .",
            "sudo /opt/plotindex/bin/pip install --upgrade .",
            "sudo ln -s /opt/plotindex/bin/plotindex /usr/local/bin/",
        ),
        "tests/project/test_packaging.py installs the wheel that is built here",
    ),
    **dict.fromkeys(
        (
            "sudo systemctl daemon-reload && sudo systemctl restart plotindex-watch plotindex-serve",
            "sudo systemctl daemon-reload && sudo systemctl start plotindex-watch plotindex-serve",
            "sudo systemctl stop plotindex-serve.socket plotindex-serve plotindex-watch",
        ),
        "tests/ops/test_systemd_units.py asks systemd about the units",
    ),
    **dict.fromkeys(POSTGRESQL, "tests/storage/test_postgres.py has a server to run them on"),
    **dict.fromkeys(
        (
            "plotindex inspect abc123 residuals.png --root /srv/plots",
            'plotindex find --text "residuals model" --root /srv/plots',
            "plotindex find --like slide.png --root /srv/plots",
            "plotindex find --flag blank --session abc123 --root /srv/plots",
            "plotindex wait abc123 residuals.png --not-blank --root /srv/plots",
            "plotindex history list abc123 residuals.png --root /srv/plots",
            "plotindex history get abc123 residuals.png 4f1317f612bf63d6 -o before.png --root /srv/plots",
            "plotindex history forget abc123 residuals.png --yes --root /srv/plots",
            "plotindex backup --history plotindex.tar --root /srv/plots",
            "plotindex restore plotindex.tar --root /srv/plots",
        ),
        "tests/cli/test_history.py and tests/inspection have such plots",
    ),
    **dict.fromkeys(
        (
            "plotindex diff abc123 def456 --root /srv/plots",
            "plotindex diff abc123/project_a abc123/project_b --root /srv/plots",
            "plotindex diff abc123@2h abc123 --root /srv/plots",
            "plotindex diff main branch --html changes.html --root /srv/plots",
        ),
        "tests/cli/test_diff.py has such sessions",
    ),
    "pip install 'plotindex[mcp]'": "tests/mcp has it installed",
    "sudo find /var/lib/plotindex -name 'catalog.db*' -delete": "tests/storage/test_upgrades.py goes back",
}
SET_UP = ("plotindex service install --root /srv/plots", "plotindex run --root /srv/plots")
"""What docs/install.md ends with, and the other pages begin with."""
PROGRAMS = (
    "plotindex",
    "sudo",
    "install",
    "chgrp",
    "cd",
    "createdb",
    "createuser",
    "make",
    "pip",
    "$",
    "curl",
    "git",
    "mkdir",
    "systemctl",
)
SERVICE = re.compile(r"(?:\w+=\S+ )*plotindex (run|watch|serve)\b")
PAGES = documents()


def shown(document: str) -> Iterator[str]:
    """Each line of an indented block that a shell is meant to take, without what is said about it."""
    for block in re.findall(r"(?<=\n\n)(?:    \S.*\n)+", re.sub(r"^ *```.*?^ *```", "", document, flags=re.M | re.S)):
        for line in block.splitlines():
            if line.strip().split()[0] in PROGRAMS or re.match(r"[A-Z_]+=", line.strip()):
                yield re.split(r" {2,}", line.strip())[0]


LINES = {page: lines for page, text in PAGES.items() if page != "docs/commands.md" and (lines := list(shown(text)))}
"""The examples of docs/commands.md are executed by tests/project/test_packaging.py."""


def transcript() -> list[str]:
    """The one command that is shown with what it prints."""
    block = re.search(r"^    \$ .*\n(?:    .*\n)+", PAGES["docs/settings.md"], re.M)
    assert block
    return [line.strip() for line in block[0].splitlines()]


class Shell:
    """Takes lines of the documents. A service goes on until a line starts another one of its kind."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.running: dict[str, Service] = {}
        self._folder = folder
        for made in (".config/fish/completions", ".local/share/bash-completion/completions", "zsh", "image"):
            (folder / made).mkdir(parents=True)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"HOME": str(folder), "PATH": path, "PLOTINDEX_PORT": str(self.port)}
        self._environment = {**clean_environment(folder), **own}

    def here(self, line: str) -> str:
        """The line, with the places of this test."""
        places = {
            "sudo -u plotindex ": "",
            "sudo ": "",
            "service install": f"service install --prefix {self._folder}/image",
            "/srv/plots": f"{self._folder}/plots",
            "/etc/plotindex": f"{self._folder}/image/etc/plotindex",
            "/var/lib/plotindex": f"{self._folder}/state",
            "/tmp/recent.tar": f"{self._folder}/recent.tar",
            "docs/screenshots": f"{CHECKOUT}/docs/screenshots",
            "${fpath[1]}": f"{self._folder}/zsh",
            "-o plotindex -g plotindex": f"-o {os.geteuid()} -g {os.getegid()}",
            "chgrp -R plotindex": f"chgrp -R {os.getegid()}",
        }
        for there, here in places.items():
            line = line.replace(there, here)
        return line

    def take(self, line: str) -> tuple[int, str]:
        """Run the line; return the exit code, and all that was printed."""
        line = self.here(line)
        if service := SERVICE.match(line):
            self._begin(service[1], line)
            return 0, ""
        done = run_plotindex([line], self._environment, self._folder, command=["bash", "-c"])
        return done.returncode, done.stdout + done.stderr

    def _begin(self, kind: str, line: str) -> None:
        for other in [kind, "run"] if kind != "run" else list(self.running):
            if other in self.running:
                self.running.pop(other).clean_up()
        logs = self._folder / f"service-{len(list(self._folder.glob('*.stderr')))}"
        self.running[kind] = new = Service(
            [f"exec env {line}"], self._environment, self._folder, logs, (), ["bash", "-c"]
        )
        new.wait_for(lambda: kind == "serve" or "Full scan finished" in new.stderr)
        new.wait_for(lambda: kind == "watch" or "Serving the plots below" in new.stderr)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    draw(tmp_path / "plots", "abc123/project_fit/hist.png")
    shell = Shell(tmp_path)
    yield shell
    for running in shell.running.values():
        running.clean_up()


@pytest.mark.parametrize("page", [page for page in LINES if set(LINES[page]) - ELSEWHERE.keys()])
def test_every_command_that_a_page_shows_works_there(page: str, shell: Shell, tmp_path: Path) -> None:
    lines = [line for line in LINES[page] if line not in ELSEWHERE and not line.startswith("$")]
    for line in (*(SET_UP if page != "docs/install.md" else ()), *lines):
        code, said = shell.take(line)
        # What the doctor says depends on the machine.
        assert code == 0 or "plotindex doctor" in line, (line, said)
    for running in shell.running.values():
        assert running.process.poll() is None
    assert (tmp_path / "image/etc/systemd/system/plotindex-watch.service").exists()
    assert (tmp_path / "recent.tar").exists() == (page == "docs/quickstart.md")


def test_status_prints_the_lines_that_its_page_shows(shell: Shell) -> None:
    """In their order, when all is well."""
    for line in ("plotindex watch --root /srv/plots", "plotindex serve --root /srv/plots"):
        shell.take(line)
    blocks = re.findall(r"```text\n(.*?)```", PAGES["docs/monitoring.md"], re.S)
    block = next(text for text in blocks if text.startswith("root "))
    code, said = shell.take("plotindex status --root /srv/plots")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == [line.split()[0] for line in block.splitlines()]
    assert f"server     answers at 127.0.0.1:{shell.port}\n" in said


def test_run_prints_what_the_readme_shows(shell: Shell) -> None:
    block = PAGES["README.md"].split("the examples draw into it for the next minutes.\n")[1].split("\n\n")[0]
    shell.take("plotindex run --root /srv/plots")
    running = shell.running["run"]
    running.wait_for(lambda: "curl" in running.stdout)

    def normal(text: str) -> list[str]:
        for varying in (r"/\S+/plots(?=[. ])", r"(?<=code=)\S+", r"plotindex_[\w…-]+", r"(?<=127.0.0.1:)\d+"):
            text = re.sub(varying, "X", text)
        text = text.replace("stocks/correlation_plot.png", "abc123/hist.png").replace("correlation_plot", "hist")
        return [line.strip() for line in text.splitlines()]

    assert normal(block) == normal(running.stdout)


def test_the_transcript_of_config_is_what_is_printed(shell: Shell) -> None:
    command, *shows = transcript()
    code, said = shell.take(command.removeprefix("$ "))
    assert code == 1
    for line in shows:
        words = shell.here(line).split()
        assert words == ["…"] or words in [there.split() for there in said.splitlines()], line


def test_no_line_for_a_shell_is_left_out() -> None:
    """What is not run here still stands there."""
    found = {line for lines in LINES.values() for line in lines}
    assert len(found - ELSEWHERE.keys()) >= 25
    assert ELSEWHERE.keys() <= found
    assert {"README.md", "docs/install.md", "docs/quickstart.md", "docs/postgresql.md"} <= LINES.keys()


def test_lists_and_changes_are_asked_for_and_answered_as_the_document_says(shell: Shell) -> None:
    document = PAGES["docs/http.md"]
    asked = re.findall(r"^    GET (\S+)", document, re.M)
    assert len(asked) == 8
    shell.take("plotindex run --root /srv/plots")
    _, secret = shell.take("plotindex token create --root /srv/plots --name a")
    answered = []
    for path in asked:
        url = f"http://127.0.0.1:{shell.port}{path}{'?since=1' if path.endswith('changes') else ''}"
        url = url.replace("<session>", "abc123").replace("<filename>", "hist.png")
        answer = requests.get(url, headers={"Authorization": f"Bearer {secret.strip()}"}, timeout=10)
        assert answer.ok, (path, answer.text)
        answered.append(answer)
    shown_json = re.findall(r"```json\n(.*?)```", document, re.S)
    of_list, of_changes, of_history = (set(re.findall(r'"(\w+)":', text)) for text in shown_json)
    assert of_list == set(re.findall(r'"(\w+)":', answered[1].text))
    assert of_changes == {*answered[3].json(), "session", "filename"}
    assert of_history == set(re.findall(r'"(\w+)":', answered[4].text))


def test_the_settings_for_prometheus_can_be_read() -> None:
    for block in re.findall(r"```yaml\n(.*?)```", PAGES["docs/monitoring.md"], re.S):
        assert set(yaml.safe_load(block)) == {"scrape_configs"}
