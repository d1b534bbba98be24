# `make` alone lists the targets. For GNU make 3.81 (macOS) and newer.
#
#   PYTHON=python3.12   use this Python for .venv (default: the newest suitable one)
#   PORT=8081           the gateway's port in `make serve` (default: 8080)
#   WORKERS=4           test processes (default: one per core)

.DEFAULT_GOAL := help
SHELL := /bin/sh
WORKERS ?= auto
VENV := .venv/bin
PIP_INSTALL := $(VENV)/python -m pip --disable-pip-version-check install --quiet
LOCK := build/lock-env/bin/uv pip compile --no-config --quiet --universal --upgrade \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock'

# A Python that was removed, or a folder that was moved, leaves a .venv that is no use.
GONE := $(shell test -x .venv/bin/python && \
	grep -qF '$(CURDIR)/.venv' .venv/pyvenv.cfg || echo gone)

export PYTHON
# Without bytecode each of the hundreds of processes that tests start compiles all of Plait
# anew: 0.75 s of processor time before its first line instead of 0.47 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo serve patterns check static format lint types imports test prove bench \
	proto lock clean gone

help: ## list the targets
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-10s %s\n", $$1, $$2}'

setup: .venv/installed ## create .venv with everything pinned; instant when up to date
	@echo 'ready: .venv'

# A new lock gets a new environment: what left the lock must not linger.
.venv/locked: requirements/dev.txt $(GONE)
	@python=$$(scripts/find-python) && echo "creating .venv with $$python" && \
		"$$python" -m venv --clear .venv
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

.venv/installed: .venv/locked pyproject.toml
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/benchmarks: .venv/installed requirements/bench.txt
	@$(PIP_INSTALL) --require-hashes -r requirements/bench.txt
	@touch $@

demo: .venv/installed ## three demo services, the gateway, one composed request; ends by itself
	@$(VENV)/python examples/shop/demo.py

serve: .venv/installed ## the same, and stays up
	@$(VENV)/python examples/shop/demo.py --stay $(if $(PORT),--port $(PORT))

patterns: .venv/installed ## run one pattern of examples/patterns: make patterns NAME=order_saga
	@$(VENV)/python -m examples.patterns $(NAME) $(if $(TWIN),--twin)

check: static ## the quick gate: format, lint, types, imports, tidy, fast unit tests, doctests
	$(VENV)/python -m pytest -q -n $(WORKERS) -m 'not slow' tests/tidy tests/unit src docs README.md

static: format lint types imports

format: .venv/installed
	$(VENV)/ruff format --check --quiet .

lint: .venv/installed
	$(VENV)/ruff check --quiet .

types: .venv/installed
	$(VENV)/mypy

imports: .venv/installed
	$(VENV)/lint-imports --no-logo

test: static ## everything: static checks, all tests, examples; root installs servers for it
	@scripts/test-packages
	$(VENV)/python -m pytest -n $(WORKERS) --durations 10

prove: .venv/installed ## the scorecard of durable executions: crashes, faults, planted bugs
	$(VENV)/python -m tests.proof

bench: .venv/benchmarks ## measure Plait against others, for 25 min; installs them if it may
	@scripts/bench-packages
	$(VENV)/python -m benchmarks

proto: .venv/installed ## generate src/plait/services/v1 from proto/
	$(VENV)/python scripts/generate-proto

lock: ## bring requirements/*.txt up to date with pyproject.toml and the index
	@python=$$(scripts/find-python) && "$$python" -m venv --clear build/lock-env
	@build/lock-env/bin/python -m pip --disable-pip-version-check install --quiet \
		--require-hashes -r requirements/lock.txt
	$(LOCK) pyproject.toml --output-file requirements/runtime.txt
	$(LOCK) pyproject.toml --group dev --constraint requirements/runtime.txt \
		--output-file requirements/dev.txt
	$(LOCK) pyproject.toml --group dev --group bench --constraint requirements/dev.txt \
		--output-file requirements/bench.txt
	$(LOCK) --group build --constraint requirements/dev.txt \
		--output-file requirements/build.txt
	$(LOCK) --group lock --output-file requirements/lock.txt

clean: ## remove everything that make has made
	rm -rf .venv build dist
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
