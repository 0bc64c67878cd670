# Two commands do everything on a fresh machine: `make demo` and `make test`. They need git, make and some CPython >= 3.12
# (scripts/find-python.sh finds it). All that they install is in .venv; the tests' servers are the one exception
# (scripts/test-services.sh).

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
RUN := $(BIN)/python -m
SOURCES := sidecar addons tui tests benchmarks scripts docs
ARGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install demo test lint style services format lock clean

help: ## show this
	@echo 'make demo       play an editor session against the bundled offline Claude (ARGS="--headless" and the like)'
	@echo 'make test       lint, types and all tests (ARGS="-k words" and the like go to pytest)'
	@echo
	@echo 'make lint       ruff and mypy alone'
	@echo 'make format     let ruff rewrite the code'
	@echo 'make install    make .venv what requirements.lock says; the others do it by themselves'
	@echo 'make lock       write requirements.lock anew from pyproject.toml (needs uv; newer versions: ARGS=--upgrade)'
	@echo 'make clean      remove what the others made'
	@echo
	@echo 'PYTHON=/path/to/python3 names the interpreter to use, if the one found is not to your liking.'

install:
	@PYTHON='$(PYTHON)' sh scripts/install.sh

demo: install
	@$(BIN)/cgw demo $(ARGS)

# Types are checked beside the tests, which often wait: it takes half a minute where nothing of it is cached.
# A test that fails is run once more, and told with its traceback as RERUN: one race among thousands of real processes and
# terminals stops nobody, but is a fault to be found. ARGS="--reruns 0" runs without.
test: install services style
	@echo '== mypy, beside the tests'
	@said=$$(mktemp) && { { $(RUN) mypy >"$$said" 2>&1; } & } && types=$$! && \
	{ $(RUN) pytest --numprocesses auto --maxprocesses 8 --dist worksteal --reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks -rfEs $(ARGS); tested=$$?; } ; \
	wait $$types; typed=$$?; echo '== mypy'; cat "$$said"; rm -f "$$said"; exit $$((tested ? tested : typed))

lint: install style
	@echo '== mypy'
	@$(RUN) mypy

style: install
	@echo '== ruff check'
	@$(RUN) ruff check $(SOURCES)
	@echo '== ruff format'
	@$(RUN) ruff format --check $(SOURCES)

services:
	@sh scripts/test-services.sh

format: install
	@$(RUN) ruff check --fix $(SOURCES)
	@$(RUN) ruff format $(SOURCES)

# A plain requirements file: hashes for every platform and Python, but no address of any package index.
lock:
	@command -v uv >/dev/null || { echo 'make lock needs uv: pip install uv' >&2; exit 1; }
	uv pip compile pyproject.toml --output-file requirements.lock --universal --python-version 3.12 \
		--all-extras --group dev --constraint scripts/lock-constraints.txt --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --quiet $(ARGS)

clean:
	rm -rf .venv .venv-lock .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
	find sidecar addons tui tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
