"""README and docs: lengths of pages and lines, links and anchors, and what they say of the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from plotindex.config import PARSERS, default_text
from tests import CHECKOUT
from tests.project.test_documented_commands import documents

PAGES = documents()
WRITTEN = sorted(PAGES.keys() - {"docs/commands.md"})
"""All but the page that is generated."""
DECISIONS = sorted(page for page in PAGES if page.startswith("docs/decisions/"))
CODE = re.compile(r"^ *```.*?^ *```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


def words(page: str) -> int:
    return len(PAGES[page].split())


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def links(page: str) -> Iterator[tuple[str, str]]:
    """The relative links of a page: path in the checkout, and anchor."""
    for pair in LINK.findall(re.sub(r"`[^`\n]+`", "", CODE.sub("", PAGES[page]))):
        target, _, anchor = "".join(pair).partition("#")
        if "://" not in target:
            path = (CHECKOUT / page).parent / target if target else CHECKOUT / page
            yield str(path.resolve().relative_to(CHECKOUT.resolve())), anchor


def prose(text: str) -> Iterator[str]:
    """Lines that are neither code nor rows of a table nor HTML."""
    for line in CODE.sub("", text).splitlines():
        if not line.startswith(("|", "    ", "<")):
            yield line


def test_the_readme_and_the_pages_are_short() -> None:
    assert words("README.md") <= 700
    # A changelog grows with each release.
    assert {page: words(page) for page in WRITTEN if words(page) > 2000 and page != "CHANGELOG.md"} == {}
    assert {page: words(page) for page in DECISIONS if words(page) > 400} == {}


@pytest.mark.parametrize("page", WRITTEN)
def test_lines_wrap_at_100_characters(page: str) -> None:
    assert [line for line in prose(PAGES[page]) if len(line) > 100] == []


@pytest.mark.parametrize("page", sorted(PAGES))
def test_no_link_is_dead(page: str) -> None:
    for path, anchor in links(page):
        assert (CHECKOUT / path).exists(), (path, anchor)
        assert not anchor or anchor in anchors(PAGES[path]), (path, anchor)


def test_every_page_is_linked_from_the_index_and_every_decision_from_the_design() -> None:
    pages = {page for page in PAGES if Path(page).parent == Path("docs")} - {"docs/index.md"}
    assert pages <= {path for path, _ in links("docs/index.md")}
    assert [path for path, _ in links("docs/design.md") if path in DECISIONS] == DECISIONS


@pytest.mark.parametrize("page", DECISIONS)
def test_a_decision_has_its_number_and_three_parts(page: str) -> None:
    number, title, *rest = re.findall(r"^#+ (?:(\d+)\. )?(.+)$", PAGES[page], re.M)[0]
    assert (f"{int(number):04}", rest) == (Path(page).name[:4], [])
    assert title
    assert re.findall(r"^## (.+)$", PAGES[page], re.M) == ["Context", "Decision", "Consequence"]
    assert DECISIONS.index(page) == int(number) - 1


def test_pages_and_anchors_that_the_code_names_exist() -> None:
    folders = ("plotindex", "migrations", "tests", "benchmarks", "examples", "docs/monitoring", ".ci")
    files = [file for folder in folders for file in (CHECKOUT / folder).rglob("*")]
    files += [CHECKOUT / "Makefile", CHECKOUT / "pyproject.toml"]
    named = set()
    for file in files:
        if file.is_file() and file.suffix in (".py", ".sh", ".toml", ".yml", ".json", ".html", ".in", ".service", ""):
            found = re.findall(r"(?<![\w/])(docs/[\w/-]+\.\w+)(?:#([\w-]+))?", file.read_text(errors="ignore"))
            named |= {(str(file.relative_to(CHECKOUT)), path, anchor) for path, anchor in found}
    for file_name, path, anchor in sorted(named):
        assert (CHECKOUT / path).exists(), (file_name, path)
        assert not anchor or anchor in anchors(PAGES[path]), (file_name, path, anchor)


@pytest.mark.parametrize("page", sorted(PAGES.keys() - {"CHANGELOG.md"}))
def test_files_of_the_project_that_a_page_names_exist(page: str) -> None:
    named = re.findall(
        r"`((?:plotindex|tests|migrations|benchmarks|examples|docs)/[\w/-]+(?:\.py|\.sh|\.md)?)`", PAGES[page]
    )
    assert [path for path in named if not (CHECKOUT / path).exists() and "NNNN" not in path] == []


def test_the_messages_that_troubleshooting_explains_are_those_of_the_code() -> None:
    page = PAGES["docs/troubleshooting.md"]
    tables = re.findall(r"^\| message contains \|.*\n\| --- .*\n((?:\|.*\n)+)", page, re.M)
    rows = [row for table in tables for row in table.splitlines()]
    messages = [text for row in rows for text in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    code = "".join(file.read_text() for file in (CHECKOUT / "plotindex").rglob("*.py"))
    joined = re.sub(r"\"\n\s*f?\"", "", code)
    missing = {text for text in messages for part in text.split("…") if part.strip() not in joined}
    assert (len(tables), len(messages) > 15) == (2, True)
    assert missing == {"database or disk is full", "No space left on device"}, "SQLite and Linux say these"


def test_the_modules_in_the_diagrams_of_the_design_exist() -> None:
    diagrams = re.findall(r"```mermaid\n(.*?)```", PAGES["docs/design.md"], re.S)
    named = re.findall(r"\b(?:system|tree|storage|index|watch|web)/[a-z_/]+", "".join(diagrams))
    assert len(diagrams) == 2
    assert [name for name in named if not (CHECKOUT / f"plotindex/{name}.py").exists()] == []


def test_the_page_on_settings_describes_each_with_its_default() -> None:
    table = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|]+) \| [^|]+ \|$", PAGES["docs/settings.md"], re.M)
    described = {}
    for names, defaults in table:
        for name, default in zip(names.split(", "), defaults.split(", "), strict=True):
            described[name.strip("`")] = default.strip("`")
    assert described.keys() >= PARSERS.keys()
    by_words = {"root", "database", "state_dir", "suffixes", "max_watches", "secret_key"}
    defaults = {name: default_text(name) for name in PARSERS.keys() - by_words}
    assert {name: described[name] for name in defaults} == {
        name: "unset" if default == "none" else default for name, default in defaults.items()
    }


def test_the_design_describes_each_package_by_its_docstring() -> None:
    described = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGES["docs/design.md"], re.M))
    product = CHECKOUT / "plotindex"
    packages = {file.parent.name: file for file in product.glob("*/__init__.py")}
    for name, file in {
        **packages,
        "errors": product / "errors.py",
        "pytest_plugin": product / "pytest_plugin.py",
    }.items():
        first = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0]
        assert described[name] == " ".join(first.split())
