# Two commands on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test tools chromium page test-page test-browser lint types imports unit test-slow test-faults settings docs bench clean

demo: $(INSTALLED)
	$(BIN)/conceptspace quickstart --seed 1 --out runs/demo

# Types are read by one process, for a minute where nothing is cached: the tests begin meanwhile.
test: lint imports
	+$(MAKE) --no-print-directory --jobs 2 types unit

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

# One torch thread per worker: more would oversubscribe the cores. Bytecode is kept even where the
# environment says otherwise: commands that tests start, and the next tests, need not compile anew.
unit: $(INSTALLED)
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m "not slow and not browser and not faults"

# The explorer's script, made of its TypeScript sources; needs node 20. The result is committed.
page: page/node_modules
	npm --prefix page run --silent build

test-page: page/node_modules
	npm --prefix page run --silent check
	npm --prefix page run --silent test

page/node_modules: page/package-lock.json
	npm --prefix page ci --silent --no-audit --no-fund
	touch $@

# The explorer in Debian's Chromium.
test-browser: $(INSTALLED) chromium test-page
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m browser tests/browser

# It is installed if it is missing and may be.
chromium:
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || apt-get install --yes --quiet chromium \
		|| { echo "make test-browser: there is no chromium, and apt-get cannot install it (root is needed); install it, or name it: CHROMIUM=/path make test-browser" >&2; exit 1; }

# All that tests need; with --jobs it is fetched side by side.
tools: $(INSTALLED) page/node_modules chromium

test-slow: $(INSTALLED)
	$(BIN)/pytest -m slow

# A fault at every operation on the disk, 200 kills, flipped bits in every file; types of arrays are
# checked in the sample that belongs to `make test`.
test-faults: $(INSTALLED)
	JAXTYPING_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m faults tests/faults

# The site in docs/_build/html, from docs/ and the docstrings; warnings are errors.
docs: $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt --group docs
	$(BIN)/sphinx-build --fail-on-warning --keep-going --jobs auto -q docs docs/_build/html
	$(BIN)/sphinx-build --fail-on-warning --keep-going -q -b doctest docs docs/_build/doctest

# What the command line tells of settings, anew from their models.
settings: $(INSTALLED)
	$(BIN)/python -c "from conceptspace.cli.settings import write; write()"

bench: $(INSTALLED)
	$(BIN)/conceptspace bench

# The last line compiles the kernels, and says what this machine computes by.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt pip
	$(BIN)/pip install --quiet --constraint constraints.txt --group dev --editable '.[all]'
	$(BIN)/conceptspace info
	touch $@

clean:
	rm -rf $(VENV)
