# make test, make demo, make demo-fleet: each works as the first command on a machine that has Python >= 3.11.
# PYTHON=/path/to/python chooses the interpreter; PYTEST_ARGS="-k name" goes to pytest.

.DEFAULT_GOAL := check
.PHONY: setup test unit lint check demo demo-fleet accounts bench bench-fleet fix lock clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?=
PYTEST_ARGS ?=
FLEET_ARGS ?=

setup: $(STAMP)

# Everything comes from the lock, each file checked against its hash; byok itself is one .pth file.
$(STAMP): requirements.lock pyproject.toml
	@set -e; found="$(PYTHON)"; \
	fits() { "$$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
	for name in python3.13 python3.12 python3.11 python3.14 python3 python; do \
		if [ -z "$$found" ] && fits "$$name"; then found="$$name"; fi; \
	done; \
	if [ -z "$$found" ] || ! fits "$$found"; then \
		echo "byok needs Python 3.11 or newer with the venv module, and found none$${found:+ in $$found};" >&2; \
		echo "install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	if ! fits $(BIN)/python; then echo "making $(VENV) with $$found"; "$$found" -m venv --clear $(VENV); fi
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test: $(STAMP)
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

unit: $(STAMP)
	$(BIN)/python -m pytest tests/unit $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin
	$(BIN)/mypy --platform win32 --no-warn-unreachable
	$(BIN)/lint-imports

check: lint unit

demo: $(STAMP)
	$(BIN)/byok sandbox sandbox --demo
	$(BIN)/python -m tests.simulators.demo sandbox-accounts

# Six accounts that stand in for the real ones, until Ctrl-C, and a sandbox that fits them.
accounts: $(STAMP)
	$(BIN)/python -m tests.simulators.demo sandbox-accounts --serve

# A roll-out over twenty machines: real ssh users as root with openssh-server, else local connections.
demo-fleet: $(STAMP)
	$(BIN)/python -m tests.fleet.demo sandbox-fleet $(FLEET_ARGS)

# A thousand hosts; some twenty minutes on two cores. FLEET_ARGS="--hosts 100 --forks 5,20" for less.
bench-fleet: $(STAMP)
	$(BIN)/python -m tests.fleet.bench $(FLEET_ARGS)

bench: $(STAMP)
	$(BIN)/python -m pytest tests/bench -s --timeout=0 $(PYTEST_ARGS)

fix: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The lock names versions and hashes only, never an index: it serves every mirror alike.
lock: $(STAMP)
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --no-header $(LOCK_ARGS) -q -o requirements.lock

clean:
	rm -rf $(VENV) build dist sandbox sandbox-accounts sandbox-fleet .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
