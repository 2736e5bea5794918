# Two commands do all the set-up: `make demo` and `make test`.

.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then echo $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The tests start hundreds of processes; each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

$(STAMP): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "isthmus needs Python 3.11 to 3.14 on PATH: install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || { echo "$(PYTHON) is not there or is no Python 3.11 to 3.14: name another: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) has no ensurepip, so it cannot make an environment: install its venv package (Debian: apt install python3-venv)" >&2; exit 1; }
	@echo "installing into $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -e .
	@touch $@

.PHONY: help install demo test lint lock bench reference
help: ## This list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

install: $(STAMP) ## Makes the environment in .venv from the lock file

demo: $(STAMP) ## Two organisations swap assets between three ledgers, on this machine
	@$(BIN)/isthmus demo

# What real networks are made of and no wheel carries. Fabric's programs are a company's own:
# FABRIC_HOME names an unpacked release.
TOOLS := .tools/bin
COMETBFT := $(TOOLS)/.cometbft-0.38.19
GETH := $(TOOLS)/.geth-1.17.8
.PHONY: tools test-networks
tools: $(COMETBFT) $(GETH) ## CometBFT and Geth, for real networks (needs Go)

$(COMETBFT): MODULE := github.com/cometbft/cometbft/cmd/cometbft
$(GETH): MODULE := github.com/ethereum/go-ethereum/cmd/geth
$(COMETBFT) $(GETH):
	@program=$(notdir $(MODULE)); version=$$(echo "$@" | sed 's/.*-//'); \
	if ! command -v go >/dev/null 2>&1; then \
		echo "there is no Go here, so no $$program: install Go 1.25 or later, then make tools"; exit 0; fi; \
	echo "building $$program $$version (once)"; mkdir -p $(TOOLS); \
	if GOBIN="$(CURDIR)/$(TOOLS)" go install "$(MODULE)@v$$version"; then touch "$@"; \
	else echo "$$program $$version could not be built: tests of real networks that need it are left out"; fi

test-networks: $(STAMP) tools ## The tests of real networks alone, and docs/reference/networks.md from what they showed
	@$(BIN)/python -m pytest tests/networks -n $(NETWORK_JOBS) --durations=15 --table=docs/reference/networks.md

# Workers; each runs whole files (tests/groups.py says how).
JOBS ?= 4
# Fewer where each has real nodes, which need their share within their deadlines.
NETWORK_JOBS ?= 3
# Where the tests are that need the machine to themselves.
ALONE := tests/e2e tests/simulation tests/networks
test: $(STAMP) tools ## All that this machine can run
	@status=0; \
	echo "first what needs the machine to itself"; \
	$(BIN)/python -m pytest -m alone $(ALONE) --durations=5 || status=1; \
	$(BIN)/python -m pytest -m "not alone" --ignore=tests/networks -n $(JOBS) --durations=15 || status=1; \
	echo "then real networks"; \
	$(BIN)/python -m pytest tests/networks -m "not alone" -n $(NETWORK_JOBS) --durations=15 || status=1; \
	exit $$status

lint: $(STAMP) ## ruff, mypy, import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

reference: $(STAMP) ## Draws docs/reference from the code
	@$(BIN)/python -m gateway.schema docs/reference

lock: ## Renews requirements.lock (needs uv)
	@uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -q -o requirements.lock

bench: $(STAMP) ## Engine facts per second, and what two gateways add to a swap, in ms
	@$(BIN)/python -m bench

.PHONY: bench-networks
bench-networks: $(STAMP) tools ## Seconds to final and actions per second on each real network
	@$(BIN)/python -m bench.networks
