# `make demo` and `make test` need Python 3.11 or newer, make and a package index; nothing else.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
PIP_INSTALL := -m pip install -qq --disable-pip-version-check
# In the order of their names, notebooks first, as these take long.
SPREAD := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
PINS := setup.cfg pyproject.toml constraints.txt

# $(call new_venv,FOLDER): a virtual environment of the first Python that will do.
define new_venv
@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
  then echo "Creating $(1) with $$($$python --version)"; exec $$python -m venv $(1); fi; \
done; \
echo "No Python 3.11 or newer with the module venv was found. Install one (on Debian and Ubuntu:" \
  "python3 and python3-venv), or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1
endef

.NOTPARALLEL:
.PHONY: help install demo test test-peers test-clusters test-plain notebooks lint format types docs dist clean

help:
	@echo "make demo         forecast a real series: a table, and a picture in demo/"
	@echo "make test         the tests and the notebooks"
	@echo "make install      the environment in $(VENV), without PyTorch and GluonTS"
	@echo "make test-peers   the tests that compare with PyTorch and GluonTS (an environment apart)"
	@echo "make test-clusters  the tests with Ray, Spark (needs Java), sktime and fev (another one)"
	@echo "make test-plain   a plain install with the newest of everything, and the data tests there"
	@echo "make dist         a wheel and a source archive, in dist/"
	@echo "make notebooks    run the notebooks, whose copies with outputs are kept in executed/"
	@echo "make docs         the documentation, in build/site, with the outputs of the notebooks"
	@echo "make lint | format | types | clean"

install: $(VENV)/.dev

$(VENV)/.created:
	$(call new_venv,$(VENV))
	@touch $@

$(VENV)/.demo: $(VENV)/.created $(PINS)
	@echo "Installing what the demo needs in $(VENV) (once, a minute or two)"
	@$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.created $(PINS)
	@echo "Installing in $(VENV) (once, a few minutes)"
	@$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.demo $@

demo: $(VENV)/.demo
	$(BIN)/lagllama demo

# The repository stores notebooks without outputs. Copies of them are run, in executed/, from which
# the documentation takes the outputs.
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
EXECUTED := $(NOTEBOOKS:notebooks/%=executed/%)
RUN_COPIES := --nbmake --overwrite executed
COPY := @rm -rf executed && cp -r notebooks executed

test: $(VENV)/.dev
	$(COPY)
	$(BIN)/pytest $(SPREAD) $(RUN_COPIES) tests

notebooks: $(VENV)/.dev
	$(COPY)
	$(BIN)/pytest $(SPREAD) $(RUN_COPIES)

# Without `make notebooks` or `make test` before: those that are new or were changed.
executed/%.ipynb: notebooks/%.ipynb | $(VENV)/.dev
	@mkdir -p executed && cp $< $@
	@$(BIN)/pytest -q --nbmake --overwrite $@ || { rm $@; exit 1; }

# GluonTS asks for an older toolz, hence an older chex, than the rest would choose.
.venv-peers/.done: $(PINS)
	$(call new_venv,.venv-peers)
	@echo "Installing PyTorch and GluonTS in .venv-peers (once, a few minutes)"
	@grep -vE '^(chex|toolz)==' constraints.txt > .venv-peers/constraints.txt
	@.venv-peers/bin/python $(PIP_INSTALL) -c .venv-peers/constraints.txt \
	  -e '.[deepar,nhits,torch]' beartype hypothesis psutil pytest pytest-xdist
	@touch $@

test-peers: .venv-peers/.done
	.venv-peers/bin/pytest $(SPREAD) -m 'torch or gluonts' $$(grep -rlE 'mark\.(torch|gluonts)' tests --include '*.py')

# fev's datasets asks for an older huggingface_hub and fsspec than the rest would choose.
.venv-clusters/.done: $(PINS)
	$(call new_venv,.venv-clusters)
	@echo "Installing Ray, Spark, sktime and fev in .venv-clusters (once, a few minutes)"
	@grep -vE '^(fsspec|hf-xet|huggingface_hub|httpx2|httpcore2)==' constraints.txt > .venv-clusters/constraints.txt
	@.venv-clusters/bin/python $(PIP_INSTALL) -c .venv-clusters/constraints.txt \
	  -e '.[fev,ray,sktime,spark]' beartype hypothesis psutil pytest pytest-xdist
	@touch $@

test-clusters: .venv-clusters/.done
	.venv-clusters/bin/pytest $(SPREAD) -m 'ray or spark or sktime or fev' \
	  $$(grep -rlE 'mark\.(ray|spark|sktime|fev)' tests --include '*.py')

# What a user gets who installs the package without the pinned versions: pandas 3, for one. What a
# new release announces for a later one is listed, and fails no test.
.venv-plain/.done: $(PINS)
	$(call new_venv,.venv-plain)
	@echo "Installing the newest of everything in .venv-plain (once, a few minutes)"
	@.venv-plain/bin/python $(PIP_INSTALL) . beartype hypothesis polars psutil pytest pytest-xdist
	@touch $@

test-plain: .venv-plain/.done
	@rm -rf build/lib build/bdist*
	@.venv-plain/bin/python $(PIP_INSTALL) --no-deps --force-reinstall .
	.venv-plain/bin/lagllama info
	.venv-plain/bin/pytest $(SPREAD) -W default::DeprecationWarning tests/series tests/corpus

# A wheel and a source archive in dist/, whose description and files are checked.
dist:
	@rm -rf dist build
	$(call new_venv,.venv-dist)
	@.venv-dist/bin/python $(PIP_INSTALL) build twine
	.venv-dist/bin/python -m build --outdir dist .
	.venv-dist/bin/twine check --strict dist/*

# Warnings, such as of links to nowhere, are errors. The pages are in build/site.
docs: $(VENV)/.dev $(EXECUTED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet -f docs/mkdocs.yml

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev
	$(BIN)/mypy

# Everything that was made, but for the environments.
clean:
	rm -rf build dist executed *.egg-info demo runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find lagllama_jax tests experiments -name __pycache__ -type d -prune -exec rm -rf {} +
