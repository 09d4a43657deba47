# Everything stays inside this folder: .venv (the environment), runs (results), .cache. Only pip's cache is shared.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

# Caches of libraries go into the clone, usage statistics nowhere; pip keeps its own cache, so it does not see these.
IN_CLONE := env XDG_CACHE_HOME='$(CURDIR)/.cache' XDG_CONFIG_HOME='$(CURDIR)/.cache' TORCH_HOME='$(CURDIR)/.cache/torch' \
	TRITON_HOME='$(CURDIR)/.cache' RAY_USAGE_STATS_ENABLED=0

.PHONY: help demo test lint docs clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 12

demo: $(INSTALLED) ## search a small space on the CPU and rank its teachers
	@$(IN_CLONE) $(BIN)/pdsearch run search_spaces/digits.yaml --address local </dev/null
	@echo 'pdsearch is in $(BIN): type  . $(BIN)/activate  first'

# Two processes, whatever the machine has: each holds PyTorch, and some tests start processes of their own.
test: lint docs ## check style, types and import rules, build the site, then run all tests
	@$(IN_CLONE) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder </dev/null

lint: $(INSTALLED_DEV) ## check style, types and import rules
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(IN_CLONE) $(BIN)/mypy
	@$(IN_CLONE) $(BIN)/lint-imports --verbose

docs: $(INSTALLED_DEV) ## build the documents as a site, in site/
	@$(IN_CLONE) NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean: ## remove the environment, results and caches
	rm -rf $(VENV) runs site .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is set up again only when what it holds has changed.
$(INSTALLED): pyproject.toml constraints.txt
	@.ci/install . && touch $@

$(INSTALLED_DEV): pyproject.toml constraints.txt
	@.ci/install '.[dev]' && touch $(INSTALLED) $@
