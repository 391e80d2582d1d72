# Everything a person or CI does here. Needs GNU make, Python >= 3.11 and a package index.
# `make run` and `make test` do all the set-up themselves; stamps make the second time fast.

VENV ?= .venv
ARGS ?=
PLUGIN ?= guest-plugins/example-logger/example_logger.wasm
PYTEST_ARGS ?=
# Tests at once; most of their time is waiting. WORKERS=0 runs them one by one.
WORKERS ?= 3
BENCH_ARGS ?=
GATE_ARGS ?=
PROFILE_ARGS ?=
SOAK_ARGS ?=

# A machine may be set to write no bytecode: then each worker of the tests, and each
# process that they start, compiles every module anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := $(VENV)/bin
PY := $(BIN)/python
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
PIP := $(PY) -m pip --disable-pip-version-check --quiet
PIP_LOCKED := $(PIP) install --require-hashes --no-deps
PIP_SELF := $(PIP) install --no-deps --no-build-isolation --editable .

SOURCES := int3rceptor tests examples $(wildcard benchmarks) .ci
TYPED := int3rceptor tests/support examples .ci/smoke.py $(wildcard benchmarks)

.DEFAULT_GOAL := help
.PHONY: help run test check fix guests toolchains toolchains-lock lock bench bench-plugins bench-quick \
	bench-gate bench-peers bench-lock profile soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' Makefile

run: $(RUN_STAMP) ## start the proxy with the example plugin (more flags: ARGS="--listen ...")
	@$(PY) -m int3rceptor --plugin $(PLUGIN) $(ARGS)

test: check toolchains ## every check that CI runs: `check`, then the tests with coverage
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder \
		--cov --cov-report=term $(PYTEST_ARGS)

check: $(DEV_STAMP) ## format, lint, types, import floors, spelling
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports
	$(BIN)/codespell $(SOURCES) docs requirements *.md Makefile pyproject.toml

fix: $(DEV_STAMP) ## format, and repair what ruff can repair
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

guests: $(RUN_STAMP) toolchains ## rewrite the SDKs' bindings, rebuild the example plugins' .wasm
	$(PY) -m int3rceptor.plugins.authoring.bindings guest-plugins
	$(MAKE) -C guest-plugins

toolchains: | $(PY) ## install the compilers of guest plugins that tests and `guests` use
	@PYTHON=$(PY) guest-plugins/toolchains/install.sh

toolchains-lock: $(DEV_STAMP) ## resolve the locks of those compilers anew
	$(BIN)/uv pip compile --quiet requirements/toolchains.in --universal --upgrade \
		--python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make toolchains-lock" \
		--output-file requirements/toolchains.txt
	cd guest-plugins/toolchains && npm install --package-lock-only --ignore-scripts \
		--no-audit --no-fund --omit-lockfile-registry-resolved

# uv only resolves here; run.txt follows dev.txt, so that tests run what users run.
COMPILE = $(BIN)/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(LOCK_ARGS)
lock: $(DEV_STAMP) ## resolve requirements/*.txt anew (LOCK_ARGS=--upgrade takes new releases)
	$(COMPILE) --group dev --output-file requirements/dev.txt
	$(COMPILE) --group build --constraint requirements/dev.txt \
		--output-file requirements/run.txt

bench: $(DEV_STAMP) bench-peers ## measure against other proxies (BENCH_ARGS="--scenario h1 ...")
	$(PY) -m benchmarks.run $(BENCH_ARGS)
	$(MAKE) --no-print-directory bench-plugins

bench-plugins: $(DEV_STAMP) ## what a plugin's call costs, and whom a plugin that burns keeps waiting
	$(PY) -m benchmarks.plugin_calls
	$(PY) -m benchmarks.plugin_burn
	$(PY) -m benchmarks.plugin_hostile

bench-quick: $(DEV_STAMP) bench-peers ## the same in some minutes, too short to judge by
	$(PY) -m benchmarks.run --size quick $(BENCH_ARGS)

bench-gate: $(DEV_STAMP) ## fail if a request has become dearer; a minute, no peers
	$(PY) -m benchmarks.gate $(GATE_ARGS)

profile: $(DEV_STAMP) ## a flame graph of the proxy under load, in benchmarks/results
	$(PY) -m benchmarks.profile $(PROFILE_ARGS)

soak: $(DEV_STAMP) ## a million requests, memory as CSV and curve (SOAK_ARGS="--requests 50000")
	$(PY) -m benchmarks.soak $(SOAK_ARGS)

bench-peers: ## install the proxies that we are measured against
	@benchmarks/install/peers.sh

bench-lock: $(DEV_STAMP) ## resolve the locks of those peers anew
	$(BIN)/uv pip compile --quiet benchmarks/install/python.in --universal --upgrade \
		--override benchmarks/install/overrides.in --python-version 3.12 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make bench-lock" \
		--output-file benchmarks/install/python.lock
	cd benchmarks/install && npm install --package-lock-only --ignore-scripts --no-audit \
		--no-fund --omit-lockfile-registry-resolved

clean: ## remove everything made here, the virtual environment too
	rm -rf $(VENV) .toolchains benchmarks/.venv-* benchmarks/.node-peers benchmarks/.goproxy build dist .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

# The first Python that is new enough and can make environments. PYTHON=... comes first.
$(PY):
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
			2>/dev/null; then \
			echo "making $(VENV) with $$($$python --version)"; \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "make: no Python >= 3.11 with the venv module was found." >&2; \
	echo "Install one (Debian: python3-venv), or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1

$(RUN_STAMP): requirements/run.txt pyproject.toml | $(PY)
	@echo "installing what the proxy needs (requirements/run.txt)"
	@$(PIP_LOCKED) --requirement requirements/run.txt
	@$(PIP_SELF)
	@touch $@

$(DEV_STAMP): requirements/dev.txt pyproject.toml | $(PY)
	@echo "installing what the checks need (requirements/dev.txt)"
	@$(PIP_LOCKED) --requirement requirements/dev.txt
	@$(PIP_SELF)
	@touch $@ $(RUN_STAMP)
