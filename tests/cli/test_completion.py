"""Shell completion."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete

from plotindex.auth.tokens import Tokens
from plotindex.cli.main import main
from plotindex.config.settings import Settings
from tests.support.processes import Index, RunPlotindex, draw


@pytest.fixture
def same_environment(root: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process the environment of the commands."""
    for name, value in {**environment, "PLOTINDEX_ROOT": str(root)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(root)


def completed(line: str) -> list[str]:
    """The completions at the end of a line."""
    words = line.split(" ")
    items = BashComplete(main, {}, "plotindex", "_PLOTINDEX_COMPLETE").get_completions(words[1:-1], words[-1])
    return [item.value if item.type == "plain" else f"<{item.type}>" for item in items]


@pytest.mark.usefixtures("same_environment")
def test_names_are_completed_from_the_catalogue(root: Path, index: Index, settings: Settings) -> None:
    for path in ("abc/project_1/hist.png", "abc/project_2/hist.png", "abc/project_2/sub/x.svg", "b/project_3/y.png"):
        draw(root, path)
    draw(root, "b/project_4/late.png", mtime_ns=2 * 10**18)
    index()
    Tokens.from_settings(settings).create("reports")
    assert completed("plotindex wait ") == ["abc", "b"]
    assert completed("plotindex wait ab") == ["abc"]
    assert completed("plotindex wait abc ") == ["hist.png", "sub/x.svg"]
    assert completed("plotindex wait abc su") == ["sub/x.svg"]
    assert completed("plotindex find --session a") == ["abc"]
    assert completed("plotindex find --session abc --project ") == ["project_1", "project_2"]
    assert completed("plotindex find --project project_") == ["project_3", "project_4"]
    assert completed("plotindex token create --session ") == ["abc", "b"]
    assert completed("plotindex token revoke ") == ["reports"]
    assert completed(f"plotindex wait --root {root}/elsewhere ") == []


@pytest.mark.usefixtures("same_environment")
def test_names_with_characters_special_in_a_shell_are_not_offered(root: Path, index: Index) -> None:
    safe = ["50%.png", "a+b,c@d_1.2~x.png", "\u00e9.png"]
    for name in (*safe, "$(reboot).png", "-rf.png", "a b.png", "a;b.png", "x*.png", "~root.png", "new\nline.png"):
        draw(root, f"s/project_1/{name}")
    index()
    assert completed("plotindex wait s ") == safe


@pytest.mark.usefixtures("same_environment")
def test_choices_of_settings_and_files_are_completed() -> None:
    assert completed("plotindex serve --heal ") == ["on", "off"]
    assert completed("plotindex watch --polling a") == ["auto", "always"]
    assert completed("plotindex run --log-format ") == ["text", "json"]
    assert completed("plotindex watch --root ") == ["<dir>"]
    assert completed("plotindex config --config ") == ["<file>"]
    assert completed("plotindex serve --port ") == []


@pytest.mark.usefixtures("same_environment")
def test_errors_complete_to_nothing_silently(
    root: Path, settings: Settings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ("wait ", "wait s ", "find --project ", "token revoke ")
    assert [completed(f"plotindex {line}") for line in lines] == [[]] * 4
    folder = settings.make_state_folder()
    (folder / "catalog.db").write_text("no database")
    (folder / "tokens.json").write_text("no tokens")
    assert [completed(f"plotindex {line}") for line in lines] == [[]] * 4
    monkeypatch.setenv("PLOTINDEX_PORT", "wrong")
    monkeypatch.setenv("PLOTINDEX_THREDS", "1")
    assert [completed(f"plotindex {line}") for line in lines] == [[]] * 4
    assert capfd.readouterr() == ("", "")


def test_a_real_bash_completes(root: Path, index: Index, environment: dict[str, str], tmp_path: Path) -> None:
    for session in ("abc", "abd", "x"):
        draw(root, f"{session}/project_1/hist.png")
    index()
    program = tmp_path / "plotindex"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m plotindex "$@"\n')
    program.chmod(0o755)
    script = """
        source <(plotindex completion bash)
        press() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); COMPREPLY=(); _plotindex_completion plotindex; }
        press plotindex wait ab; echo "${COMPREPLY[@]}"
        press plotindex stat; echo "${COMPREPLY[@]}"
        complete -p plotindex
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={**environment, "PLOTINDEX_ROOT": str(root), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.splitlines(), done.stderr) == (
        ["abc abd", "status", "complete -o nosort -F _plotindex_completion plotindex"],
        "",
    )


def test_each_shell_gets_its_script(plotindex: RunPlotindex) -> None:
    for shell, says in {"zsh": "#compdef plotindex", "fish": "complete --no-files --command plotindex"}.items():
        done = plotindex("completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        assert says in done.stdout
        assert "_PLOTINDEX_COMPLETE=" in done.stdout


def test_every_session_filename_and_project_is_completed() -> None:
    def arguments(group: click.Group) -> set[str]:
        found: set[str] = set()
        for command in group.commands.values():
            if isinstance(command, click.Group):
                found |= arguments(command)
            for parameter in command.params:
                if parameter.name in ("session", "filename", "project") and parameter._custom_shell_complete is None:
                    found.add(f"{command.name} {parameter.name}")
        return found

    assert arguments(main.loaded()) == set()
