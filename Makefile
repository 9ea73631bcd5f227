PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help demo front test ready check check-python check-front bench picture pictures browser drill clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## install into .venv, then train on the flights table
	@$(BIN)/downslope fit examples/flights.parquet --target late

front: $(VENV)/.installed-dev  ## build the front end in web/ where it is older than its sources
	@$(BIN)/python tools/front_end.py build

test: ready  ## every check and every test
	$(BIN)/pytest -m 'not alone' --numprocesses logical --dist loadfile
	$(BIN)/pytest -m alone

# What the tests need, and the checks, two at a time: installing waits for the network, checking for a processor.
ready:
	@$(MAKE) --no-print-directory --jobs=2 browser check

check: check-python check-front  ## the fast checks: style, format, types, contracts, the front end

check-python: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

check-front: $(VENV)/.installed-dev
	$(BIN)/python tools/front_end.py check

bench: $(VENV)/.installed-bench  ## measure against peers; writes benchmarks/RESULTS.md and the README table
	$(BIN)/python -m benchmarks --readme

drill: $(VENV)/.installed-dev  ## break runs on a cluster 50 times: workers, driver, disk, network (root cuts it); some 20 minutes
	$(BIN)/python -m benchmarks.drill

picture: $(VENV)/.installed  ## run the demo in a terminal and draw it as docs/demo.svg
	$(BIN)/python tools/terminal_picture.py docs/demo.svg fit examples/flights.parquet --target late

pictures: $(VENV)/.installed-dev browser  ## take the pictures of the rooms that stand in the READMEs, by the tests that look at them
	DOWNSLOPE_PICTURES=docs/pictures $(BIN)/pytest -q tests/browser/test_pictures.py

# The browser of the tests. Where it is missing and cannot be had, the tests say so, or fail with DOWNSLOPE_BROWSER=required.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing Chromium for the browser tests, by apt (about a minute, once)" >&2; \
	    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
	      chromium fonts-noto-cjk >/dev/null; } || echo "Chromium could not be installed" >&2; \
	  fi; }

clean:  ## remove .venv and everything built; keeps runs/
	rm -rf $(VENV) build dist web/node_modules src/downslope/front .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# A stamp is older than pyproject.toml or constraints.txt only when there is something new to install.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Downslope needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1);" \
	       "name another, such as: make demo PYTHON=python3.12" >&2; exit 1; }
	@echo "Creating $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing Downslope into $(VENV) (about a minute, once)" >&2
	@$(PIP) install --editable . --constraint constraints.txt
	@$(BIN)/python -m downslope.engines.warming >&2
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing Downslope and its checks into $(VENV) (a few minutes, once)" >&2
	@$(PIP) install --editable '.[dev]' --constraint constraints.txt
	@touch $(VENV)/.installed $@

# PyTorch has no wheel for every machine; the benchmark leaves its loop out, and says so, where there is none.
$(VENV)/.installed-bench: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing Downslope and its peers into $(VENV) (a few minutes, once)" >&2
	@$(PIP) install --editable '.[bench]' --constraint constraints.txt
	@$(PIP) install torch --constraint constraints.txt || echo "PyTorch did not install; its loop is left out" >&2
	@touch $(VENV)/.installed $@
