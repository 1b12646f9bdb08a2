# Each target sets up .venv itself; a fresh machine needs Python 3.11, make and the package registries.
PYTHON ?= python3
ROOT ?= ./plots
BIN := .venv/bin

.PHONY: run test lint bench clean help
.DEFAULT_GOAL := help

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/ready ## Index and serve the plots below ROOT (./plots); draw the examples when there are none
	@mkdir -p "$(ROOT)"
	@sh examples/run.sh "$(BIN)" "$(ROOT)"

test: .venv/ready ## Run the tests
	$(BIN)/pytest $(TESTS)

lint: .venv/ready ## Check style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/ready ## Measure; each figure is a ratio of two things measured in the same run
	$(BIN)/python -m benchmarks

clean: ## Remove what was made here; plots stay
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,examples]'
	touch $@
