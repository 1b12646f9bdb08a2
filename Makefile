# Each target sets up .venv itself; a fresh machine needs Python 3.11, make and the package registries.
PYTHON ?= python3
ROOT ?= ./plots
SECONDS ?= 600
PLOTS ?= 1000000
SEED ?= 1
BIN := .venv/bin

.PHONY: run test lint bench bench-scale torture soak screenshots release-check manual clean help
.DEFAULT_GOAL := help

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/ready ## Index and serve the plots below ROOT (./plots); draw the examples when there are none
	@mkdir -p "$(ROOT)"
	@sh examples/run.sh "$(BIN)" "$(ROOT)"

test: .venv/ready ## Run the tests
	@sh tests/tools/install.sh
	@# A real browser, or a process that the system starves, fails once in some thousand times: pytest names what it ran twice.
	$(BIN)/pytest --numprocesses=4 --dist=worksteal --reruns 1 -raR $(TESTS)

lint: .venv/ready ## Check style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/ready ## Measure; each figure is a ratio of two things measured in the same run
	$(BIN)/python -m benchmarks

bench-scale: .venv/ready ## Measure a tree of PLOTS (1000000) plots beside small ones; takes minutes, and room for such a tree
	PLOTS=$(PLOTS) $(BIN)/python -m benchmarks scale

torture: .venv/ready ## Change a tree at random for SECONDS (600) by SEED (1) and compare; also KILL=3, OVERFLOW=1, STRICT=1
	$(BIN)/python -m tests.tools.torture $(SECONDS) $(SEED) $(if $(KILL),--kill $(KILL)) $(if $(OVERFLOW),--overflow) $(if $(STRICT),--strict)

soak: .venv/ready ## Draw 200 plots a second for SECONDS (600); a histogram of latency, memory before and after
	$(BIN)/python -m tests.tools.soak $(SECONDS)

screenshots: .venv/ready ## Take the pictures of docs/screenshots anew, of what the examples draw
	@sh tests/tools/install.sh
	@mkdir -p build/drawn docs/screenshots
	$(BIN)/python -m examples.draw --rounds 1 --pause 0 build/drawn
	$(BIN)/python -m tests.tools.screenshots build/drawn docs/screenshots

release-check: .venv/ready ## Build what is released into dist/, and check it in a clean environment in another folder
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/pytest tests/project/test_packaging.py tests/project/test_manual.py

manual: .venv/ready ## Write docs/commands.md and the man page anew, from the help of the commands
	$(BIN)/python -m tests.tools.manual docs

clean: ## Remove what was made here; plots stay
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: pyproject.toml
	@echo "Installing into .venv; this takes a minute, once."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,examples]'
	touch $@
