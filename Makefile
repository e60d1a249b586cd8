# Everything runs in .venv, which `make install` builds from requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
DATASET ?= imdb
TEXT ?= text
LABEL ?= label

.PHONY: help install train test slow lint format notebooks docs bench lock clean

help:  ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/installed  ## Make .venv from the lock file; quick when nothing changed

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "han needs Python 3.11 or newer; set PYTHON=")'
	@echo "installing into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

train: install  ## Train and test: DATASET=imdb, bbc-news, or a file or folder with TEXT= and LABEL=; again: ARGS=--force
	@$(BIN)/han train "$(DATASET)" --text "$(TEXT)" --label "$(LABEL)" $(ARGS)

test: install  ## Run the tests in two processes, and report branch coverage
	@$(BIN)/python -m pytest --numprocesses=2 --cov --cov-fail-under=95 $(ARGS)

slow: install  ## Run the tests that `make test` skips
	@$(BIN)/python -m pytest --numprocesses=2 -m slow tests $(ARGS)

lint: install  ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: install  ## Rewrite the code in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

notebooks: install  ## Run the notebooks: HAN_SMALL=1 for a quick look, ARGS=--overwrite to store the outputs
	@$(BIN)/python -m pytest --numprocesses=2 --nbmake --nbmake-timeout=3000 -p no:cacheprovider notebooks $(ARGS)

docs: install  ## Build the documentation into docs/_build/html, and run the code on its pages
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs docs/_build/html
	@$(BIN)/python -m pytest --numprocesses=2 --dist=load docs
	@echo "docs/_build/html/index.html"

bench: install .venv/benchmark  ## Run a benchmark: NAME=speed, for example; without NAME, list them
	@$(BIN)/python -m benchmarks $(NAME) $(ARGS)

.venv/benchmark: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[benchmark]'
	@touch $@

lock:  ## Resolve pyproject.toml anew into requirements.lock (needs uv)
	@uv pip compile pyproject.toml --extra datasets --extra glove --extra word2vec --extra spacy-vectors --extra model2vec --extra onnx --extra yaml --extra tensorboard --extra xlsx --extra report --group dev --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet --output-file requirements.lock

clean:  ## Remove .venv and caches, not models
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
