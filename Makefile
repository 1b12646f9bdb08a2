# Each target installs what it needs into .venv; a fresh machine needs Python 3.11 to 3.13, make and the package registries.
PYTHON ?= python3
ROOT ?= ./plots
SECONDS ?= 600
PLOTS ?= 1000000
SEED ?= 1
# Each Python has an environment of its own: `make test PYTHON=python3.13`.
VENV := .venv$(addprefix -,$(filter-out python3,$(notdir $(PYTHON))))
BIN := $(VENV)/bin

.PHONY: run check test acceptance lint bench bench-scale bench-peers torture pictures soak screenshots release-check manual schema clean help
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/product ## Index and serve the plots below ROOT (./plots); draw the examples when there are none
	@mkdir -p "$(ROOT)"
	@sh examples/run.sh "$(BIN)" "$(ROOT)"

check: lint ## Format, lint, types, and the tests that need no browser, server or long run: under a minute
	$(BIN)/pytest --numprocesses=2 --dist=worksteal -m "not slow" $(TESTS)

test: $(VENV)/ready ## Run every test
	@sh tests/tools/install.sh
	@# The tests start thousands of processes, none of which would keep what it compiles where PYTHONDONTWRITEBYTECODE is set.
	@$(BIN)/python -m compileall -q plotindex migrations
	$(BIN)/pytest --numprocesses=4 --dist=worksteal $(TESTS)

acceptance: torture soak pictures ## Run what takes long and is not part of CI: torture and soak, SECONDS (600) each; pictures

lint: $(VENV)/ready ## Check style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/ready ## Measure; each figure is a ratio of two things measured in the same run
	$(BIN)/python -m benchmarks

bench-scale: $(VENV)/ready ## Measure a tree of PLOTS (1000000) plots beside small ones; takes minutes, and room for such a tree
	PLOTS=$(PLOTS) $(BIN)/python -m benchmarks scale

bench-peers: $(VENV)/ready ## Measure one plot served by plotindex and by other servers, installed into build/peers; takes minutes
	$(BIN)/python -m benchmarks peers

torture: $(VENV)/ready ## Change a tree at random for SECONDS (600) by SEED (1) and compare, then its history on both engines; also KILL=3, OVERFLOW=1, STRICT=1
	$(BIN)/python -m tests.tools.torture $(SECONDS) $(SEED) $(if $(KILL),--kill $(KILL)) $(if $(OVERFLOW),--overflow) $(if $(STRICT),--strict)
	EXAMPLES=$(SECONDS) $(BIN)/pytest -q tests/history/test_torture.py
	$(BIN)/python -m tests.tools.history_torture $(SECONDS) $(SEED) --engine sqlite
	$(BIN)/python -m tests.tools.history_torture $(SECONDS) $(SEED) --engine postgresql

pictures: $(VENV)/ready ## Draw 2000 real files (downloaded into build/corpus), and 3000 mutated ones of each kind, by SEED (1)
	$(BIN)/python -m tests.tools.pictures 2000 3000 $(SEED)

soak: $(VENV)/ready ## Draw 200 plots a second for SECONDS (600); a histogram of latency, memory before and after
	$(BIN)/python -m tests.tools.soak $(SECONDS)

screenshots: $(VENV)/ready ## Take the pictures of docs/screenshots anew, of what the examples draw
	@sh tests/tools/install.sh
	@mkdir -p build/drawn docs/screenshots
	$(BIN)/python -m examples.draw --rounds 1 --pause 0 build/drawn
	$(BIN)/python -m tests.tools.screenshots build/drawn docs/screenshots

release-check: $(VENV)/ready ## Build what is released into dist/, and check it in a clean environment in another folder
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/pytest tests/project/test_packaging.py tests/project/test_manual.py

manual: $(VENV)/ready ## Write docs/commands.md and the man page anew, from the help of the commands
	$(BIN)/python -m tests.tools.manual docs

schema: $(VENV)/ready ## Write the schema of a new SQLite database anew, from the migrations
	$(BIN)/python -m tests.tools.schema

clean: ## Remove what was made here; plots stay
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/product: pyproject.toml
	@echo "Installing plotindex and its examples into $(VENV), once:"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --editable '.[examples]'
	@touch $@

$(VENV)/ready: $(VENV)/product
	@echo "Installing what the tests need into $(VENV), once; this takes a minute."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,examples]'
	@touch $@
