# Needs Python 3.10 or newer with pip, and make. Every target makes the virtual environment it needs.
#   make demo         migrate a copy of the example package and show what happened
#   make test         run the tests (without the slow ones)
#   make lint         ruff (lint, format) and mypy
#   make test-slow    run the slow tests
#   make test-browser open the HTML report in Chromium, which must be installed
#   make test-lowest  run the tests with the oldest dependencies that pyproject.toml allows
#   make docs         write docs/rules.md from the rules' own documentation, docs/compat.md from the release table
#   make site         build the documentation site into build/site
#   make bench        measure speed; HITS="CHECKOUT@REVISION …" adds files with a hit (see benchmarks/)
#   make bench-peers   nkimigrate beside ruff, pyupgrade and other tools, on the same trees
#   make bench-growth  time and memory of a check while the tree grows to 100,000 files
#   make public-code  migrate public code bases: CODE="NAME=CHECKOUT@REVISION …"
#   make bench-simulator  the simulator's speed: UPSTREAM=CHECKOUT TRITON_VIZ=CHECKOUT, each if at hand
#   make bench-models the simulator's speed and memory on layers of models at their real sizes
#   make bench-compat what running 2.27 code through nkilib.compat costs
#   make conformance  run integration tests of UPSTREAM=CHECKOUT on the simulator; OPTIONS="--seed 1 --family mlp"
#   make beta1-examples  run the legacy language's documented examples of DOCS=CHECKOUT on the simulator
#   make bench-language  migrate legacy kernels and run them before and after: UPSTREAM_SAMPLES=CHECKOUT@REVISION
#                     SDK=CHECKOUT@REVISION NXDI=CHECKOUT@REVISION, each if at hand; CODE="NAME=CHECKOUT@REVISION …"
#                     only counts the kernels of any other
#   make bench-language-speed  the language step's speed: UPSTREAM_SAMPLES=CHECKOUT@REVISION SDK=CHECKOUT@REVISION
#   make bench-language-growth  how the language step's time grows with one thing in a file, or in a tree, at a time
#   make bench-scale  what each stage costs a file, and on paper ten million: TREE=FOLDER KERNELS="FOLDER …"
#   make kernel-errors  write docs/kernels.md: how exact the kernels are, by their tests; TESTS=FOLDER for some
#   make kernel-checks  which checks of the kernels no test has seen to fail, or no demand says; TESTS=FOLDER for some
#   make kernel-costs  trace the kernels; UPSTREAM=CHECKOUT@REVISION sets those of a checkout beside them
#   make audit        look for known vulnerabilities in what an installation brings (pip-audit)
#   make fuzz         mutated programs through the tool: CODE="CHECKOUT …" mutates kernels of checkouts, SECONDS=600
#   make fuzz-kernels random kernels before and after the language step: the same numbers; SECONDS=600
#   make test-kernels call every kernel at random, EXAMPLES=500 times, and see that each parameter counts; SEED=1
#                     draws the same calls again
#   make fuzz-coverage  the same guided by coverage (atheris, which has wheels for Python 3.11 to 3.13): SECONDS=600
#                     FUZZ_PYTHON=python3.12
#   make no-harm      download source distributions without NKI from PyPI: nothing may change, nothing be reported
#   make clean        remove everything that the other targets made
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
LOWEST_PYTHON ?= python3.10
FUZZ_PYTHON ?= python3.12
VENV ?= .venv
PIP_OPTIONS ?=
PYTEST_OPTIONS ?=
TORCH ?= torch

BIN := $(VENV)/bin
# The stamp names the interpreter, so that another PYTHON makes the environment anew.
STAMP := $(VENV)/.made-with-$(notdir $(PYTHON))
TYPES := build/types
MEASURED := build/measured

.PHONY: demo test test-slow test-browser test-lowest lint docs site measured bench bench-peers bench-growth public-code bench-simulator bench-models \
    bench-compat conformance test-kernels beta1-examples bench-language bench-language-speed bench-language-growth bench-scale kernel-errors \
    kernel-checks kernel-costs audit fuzz fuzz-kernels fuzz-coverage no-harm clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml constraints-lowest.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/python examples/demo.py $(BIN)/nkimigrate build/demo

test: $(STAMP)
	@$(BIN)/python -m pytest -q -m "not slow" $(PYTEST_OPTIONS)

test-slow: $(STAMP)
	@$(BIN)/python -m pytest -q -m slow $(PYTEST_OPTIONS)

test-browser: $(STAMP)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) playwright
	@$(BIN)/python -m pytest -q -rs tests/nkimigrate/test_report_browser.py

test-lowest:
	@$(MAKE) --no-print-directory test PYTHON=$(LOWEST_PYTHON) VENV=.venv-lowest PIP_OPTIONS='-c constraints-lowest.txt'

# mypy reads folders, not installed mappings: give it a tree of links that looks like an installation.
lint: $(STAMP)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --diff .
	@rm -rf $(TYPES) && mkdir -p $(TYPES)/nkimigrate $(TYPES)/nkilib
	@ln -s "$(CURDIR)"/nkimigrate/* "$(CURDIR)"/codemods $(TYPES)/nkimigrate
	@ln -s "$(CURDIR)"/nkilib/* $(TYPES)/nkilib && ln -s "$(CURDIR)"/compat $(TYPES)/nkilib/compat
	@ln -s "$(CURDIR)"/nkisim "$(CURDIR)"/compat/nkilib_standalone "$(CURDIR)"/compat/nkilib_src $(TYPES)
	@cd $(TYPES) && "$(abspath $(BIN))"/mypy --no-error-summary --config-file "$(CURDIR)"/pyproject.toml

docs: $(STAMP)
	@PYTHONIOENCODING=utf-8 $(BIN)/python docs/generate.py > docs/rules.md.new
	@mv docs/rules.md.new docs/rules.md
	@PYTHONIOENCODING=utf-8 $(BIN)/python docs/generate_compat.py > docs/compat.md.new
	@mv docs/compat.md.new docs/compat.md

# Links and anchors are checked; a warning is an error.
site: $(STAMP)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) -e '.[site]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

# A regular installation of this tree, by a current pip: editable ones and the commands of old pips start more slowly.
measured:
	@test -d $(MEASURED) || $(PYTHON) -m venv $(MEASURED)
	@rm -rf build/lib
	@$(MEASURED)/bin/python -m pip install -qq --disable-pip-version-check --upgrade pip
	@$(MEASURED)/bin/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) '.[dev]'

bench: measured
	@$(MEASURED)/bin/python benchmarks/speed.py --hits $(HITS)

bench-peers: measured
	@$(MEASURED)/bin/python benchmarks/peers.py $(OPTIONS)

bench-growth: measured
	@$(MEASURED)/bin/python benchmarks/growth.py $(OPTIONS)

public-code: measured
	@$(MEASURED)/bin/python benchmarks/public_code.py $(CODE)

bench-simulator: measured
	@$(MEASURED)/bin/python benchmarks/simulator.py $(if $(UPSTREAM),--upstream $(UPSTREAM)) \
	    $(if $(TRITON_VIZ),--triton-viz $(TRITON_VIZ)) $(OPTIONS)

bench-models: measured
	@$(MEASURED)/bin/python benchmarks/simulator_models.py $(OPTIONS)

bench-compat: measured
	@$(MEASURED)/bin/python benchmarks/compat.py

# Beside the simulator, the checkout's tests import these. Any torch will do; one for CPUs alone is far smaller:
# TORCH="torch --index-url https://download.pytorch.org/whl/cpu". One that is already there is kept.
conformance: measured
	@$(MEASURED)/bin/python -c 'import torch' 2>/dev/null || \
	    $(MEASURED)/bin/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) $(TORCH)
	@$(MEASURED)/bin/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) scipy attrs \
	    filelock allpairspy pytest-html pytest-metadata pytest-xdist
	@$(MEASURED)/bin/python benchmarks/conformance.py $(UPSTREAM) $(OPTIONS)

beta1-examples: measured
	@$(MEASURED)/bin/python benchmarks/beta1_examples.py $(DOCS) $(OPTIONS)

bench-language: measured
	@$(MEASURED)/bin/python benchmarks/language_step.py $(OPTIONS) $(if $(UPSTREAM_SAMPLES),samples=$(UPSTREAM_SAMPLES)) \
	    $(if $(SDK),tutorials=$(SDK) api=$(SDK)) $(if $(NXDI),nxdi=$(NXDI)) $(CODE)

bench-language-speed: measured
	@$(MEASURED)/bin/python benchmarks/language_speed.py $(OPTIONS) $(UPSTREAM_SAMPLES) $(SDK)

EXAMPLES ?= 500
test-kernels: $(STAMP)
	@NKILIB_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q tests/nkilib/properties \
	    $(if $(SEED),--hypothesis-seed=$(SEED)) $(PYTEST_OPTIONS)

bench-language-growth: measured
	@$(MEASURED)/bin/python benchmarks/language_growth.py $(OPTIONS)

bench-scale: measured
	@$(MEASURED)/bin/python benchmarks/scale.py $(TREE) $(KERNELS) $(OPTIONS)

kernel-errors: $(STAMP)
	@PYTHONPATH=tests/support $(BIN)/python tests/support/kernel_errors.py $(TESTS)

kernel-checks: $(STAMP)
	@PYTHONPATH=tests/support:tests/nkilib/oracles $(BIN)/python tests/support/kernel_checks.py $(TESTS)

# The checkout's `topk` imports scipy.
kernel-costs: measured
	@$(if $(UPSTREAM),$(MEASURED)/bin/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) scipy)
	@$(MEASURED)/bin/python benchmarks/kernel_costs.py $(if $(UPSTREAM),--upstream $(UPSTREAM)) $(OPTIONS)

audit: $(STAMP)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) pip-audit
	@$(BIN)/python tests/support/audit.py

fuzz: $(STAMP)
	@$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(OPTIONS) $(CODE)

fuzz-kernels: $(STAMP)
	@$(BIN)/python tests/fuzz/kernels.py --seconds $(or $(SECONDS),60) $(OPTIONS)

fuzz-coverage:
	@test -d build/fuzz-coverage || $(FUZZ_PYTHON) -m venv build/fuzz-coverage
	@build/fuzz-coverage/bin/python -m pip install -qq --disable-pip-version-check $(PIP_OPTIONS) -e '.[dev]' atheris
	@build/fuzz-coverage/bin/python tests/fuzz/coverage_guided.py -max_total_time=$(or $(SECONDS),60) $(OPTIONS)

no-harm: $(STAMP)
	@$(BIN)/python tests/fuzz/no_harm.py $(OPTIONS)

clean:
	@rm -rf .venv .venv-lowest build dist nkimigrate.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
