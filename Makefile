# Two commands are all the set-up there is: `make demo`, then `make test`. Both may be repeated at any time.
# `make loop` lets the embedded model learn from its own traces, round after round (it installs torch and trl first).
# TORCH=1 also installs what training and berry's recipe, and their tests, need.
VENV   ?= .venv
# The first Python that really runs and is new enough; `python3` of the active environment goes first.
PYTHON ?= $(shell for name in python3 python python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
PIP     = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
EXTRAS  = dev$(if $(TORCH),$(comma)hf$(comma)berry$(comma)train)
comma  := ,

.PHONY: demo test lint loop berry clean

demo: $(VENV)/installed
	$(VENV)/bin/strawberry generate

test: lint
	$(VENV)/bin/python -m pytest

lint: $(VENV)/installed-$(EXTRAS)
	$(VENV)/bin/ruff check src tests benchmarks
	$(VENV)/bin/mypy

loop: $(VENV)/installed-train
	$(VENV)/bin/strawberry bootstrap

berry: TORCH = 1
berry: $(VENV)/installed-dev,hf,berry
	$(VENV)/bin/python -m openstrawberry.berry make

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || \
		{ echo "strawberry needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/installed-%: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e ".[$*]"
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) build dist node_modules .pytest_cache .mypy_cache .ruff_cache
