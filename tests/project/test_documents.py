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

from tests.project.test_documented_commands import documents
from tests.support.processes import Service, draw, free_port, own_environment, run_plotindex

SERVER = "postgresql+psycopg://plotindex@db.example.org/plotindex"
POSTGRESQL = (
    "createuser --pwprompt plotindex",
    "createdb --owner plotindex --encoding UTF8 --template template0 plotindex",
    f"plotindex watch --root /srv/plots --database {SERVER}",
    f"PLOTINDEX_SECRET_KEY=the-same-key-on-each-node plotindex serve --root /srv/plots --database {SERVER}",
    f"plotindex status --root /srv/plots --database {SERVER}",
)
"""What operations.md shows for a catalogue on a server."""
ELSEWHERE = {
    "make run": "tests/cli/test_processes.py runs what it runs",
    "make test": "this",
    "make torture SECONDS=600 SEED=1 KILL=5": "tests/guarantees/test_torture.py, for a shorter time",
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
    "sudo find /var/lib/plotindex -name 'catalog.db*' -delete": "tests/storage/test_upgrades.py goes back",
}
NO_LINES = ("commands.md", "design.md")
"""The examples of the one are executed by tests/project/test_packaging.py; the other has pictures made of letters."""
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
    "systemctl",
)
SERVICE = re.compile(r"(?:\w+=\S+ )*plotindex (run|watch|serve)\b")
OPERATIONS = documents()["operations.md"]


def shown(document: str) -> Iterator[str]:
    """Each line of an indented block that a shell is meant to take, without what is said about it."""
    for block in re.findall(r"(?<=\n\n)(?:    \S.*\n)+", re.sub(r"^ *```.*?^ *```", "", document, flags=re.M | re.S)):
        for line in block.splitlines():
            if line.strip().split()[0] in PROGRAMS or re.match(r"[A-Z_]+=", line.strip()):
                yield re.split(r" {2,}", line.strip())[0]


def transcript() -> list[str]:
    """The one command that is shown with what it prints."""
    block = re.search(r"^    \$ .*\n(?:    .*\n)+", OPERATIONS, re.M)
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
        self._environment = {**own_environment(folder), **own}

    def here(self, line: str) -> str:
        """The line, with the places of this test."""
        places = {
            "sudo ": "",
            "service install": f"service install --prefix {self._folder}/image",
            "/srv/plots": f"{self._folder}/plots",
            "/etc/plotindex": f"{self._folder}/image/etc/plotindex",
            "/var/lib/plotindex": f"{self._folder}/state",
            "/tmp/recent.tar": f"{self._folder}/recent.tar",
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


def test_every_command_that_operations_shows_works_there(shell: Shell, tmp_path: Path) -> None:
    lines = [line for line in shown(OPERATIONS) if line not in ELSEWHERE and not line.startswith("$")]
    assert len(lines) > 15
    for line in lines:
        code, said = shell.take(line)
        # What the doctor says depends on the machine.
        assert code == 0 or "plotindex doctor" in line, (line, said)
    assert (tmp_path / "recent.tar").stat().st_size
    assert (tmp_path / "image/etc/systemd/system/plotindex-watch.service").exists()
    for name in ("watch", "serve"):
        assert shell.running[name].process.poll() is None
    # What `status` prints has the lines that the document shows, in their order, when all is well.
    block = next(text for text in re.findall(r"```text\n(.*?)```", OPERATIONS, re.S) if text.startswith("root "))
    code, said = shell.take("plotindex status --root /srv/plots")
    assert [line.split()[0] for line in said.splitlines()] == [line.split()[0] for line in block.splitlines()]
    assert f"server     answers at 127.0.0.1:{shell.port}\n" in said


def test_the_transcript_of_operations_is_what_is_printed(shell: Shell) -> None:
    command, *shows = transcript()
    code, said = shell.take(command.removeprefix("$ "))
    assert code == 1
    for line in shows:
        words = shell.here(line).split()
        assert words == ["…"] or words in [there.split() for there in said.splitlines()], line


def test_every_command_that_the_readme_shows_works_there(shell: Shell) -> None:
    lines = [line for line in shown(documents()["README.md"]) if line not in ELSEWHERE]
    assert len(lines) == 2
    for line in lines:
        code, said = shell.take(line)
        assert code == 0, (line, said)


def test_no_line_for_a_shell_is_left_out() -> None:
    """What is not run here still stands there."""
    found = {name: list(shown(text)) for name, text in documents().items() if name not in NO_LINES}
    assert {name for name, lines in found.items() if lines} == {"README.md", "operations.md"}
    assert ELSEWHERE.keys() <= {line for lines in found.values() for line in lines}


def test_lists_and_changes_are_asked_for_and_answered_as_the_document_says(shell: Shell) -> None:
    document = documents()["http.md"]
    asked = re.findall(r"^    GET (\S+)", document, re.M)
    assert len(asked) == 4
    shell.take("plotindex run --root /srv/plots")
    _, secret = shell.take("plotindex token create --root /srv/plots --name a")
    answered = []
    for path in asked:
        url = f"http://127.0.0.1:{shell.port}{path}?since=1"
        url = url.replace("<session>", "abc123").replace("<filename>", "hist.png")
        answer = requests.get(url, headers={"Authorization": f"Bearer {secret.strip()}"}, timeout=10)
        assert answer.ok, (path, answer.text)
        answered.append(answer)
    shown_json = re.findall(r"```json\n(.*?)```", document, re.S)
    of_list, of_changes = (set(re.findall(r'"(\w+)":', text)) for text in shown_json)
    assert of_list == set(re.findall(r'"(\w+)":', answered[1].text))
    assert of_changes == {*answered[3].json(), "session", "filename"}


def test_the_settings_for_prometheus_can_be_read() -> None:
    for block in re.findall(r"```yaml\n(.*?)```", OPERATIONS, re.S):
        assert set(yaml.safe_load(block)) == {"scrape_configs"}
