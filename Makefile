# make run    train, watch the held-out classes emerge, write the report     make test   every notebook and every check
# make lab    open the notebooks            make export   package and README from the notebooks            make docs   pages
# make docs-serve   the pages, at a local address
#
# Variables: OPTIONS of `compdiff run` (make run OPTIONS="--seed 3"), PYTHON for the environment,
# PIP_OPTIONS for its installation (make run PIP_OPTIONS="--extra-index-url https://download.pytorch.org/whl/cpu").

PYTHON ?= python3
VENV ?= .venv
PIP_OPTIONS ?=
OPTIONS =

# The environment comes first, and then the stand-in for quarto: nbdev calls a bare `pip` where it finds no quarto.
export PATH := $(CURDIR)/$(VENV)/bin:$(CURDIR)/tools:$(PATH)

READY := $(VENV)/.ready

.PHONY: run test lab export docs docs-serve clean
.DELETE_ON_ERROR:

run: $(READY)
	compdiff run $(OPTIONS)

# Notebooks under test read no settings of the user's and leave none behind.
test: export IPYTHONDIR := $(CURDIR)/$(VENV)/ipython
test: export JUPYTER_CONFIG_DIR := $(CURDIR)/$(VENV)/jupyter
test: export MPLCONFIGDIR := $(CURDIR)/$(VENV)/matplotlib
# nbdev_test has a process a core; with more than a thread each they would wait for one another.
test: export OMP_NUM_THREADS := 1
test: $(READY)
	nbdev_test
	pytest -n auto --dist loadfile

lab: $(READY)
	jupyter lab nbs $(OPTIONS)

export: $(READY)
	nbdev_export
	nbdev_clean
	python tools/readme.py

# nbdev keeps processed notebooks, those of removed pages too
docs: $(READY)
	rm -rf _proc
	nbdev_docs

docs-serve: docs
	python -m http.server --bind 127.0.0.1 --directory _docs

.PHONY: benchmark
benchmark: $(READY)
	python benchmarks/run.py

clean:
	rm -rf _docs _proc build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# Debian's python3 without python3-venv cannot put a pip into an environment, but its own pip can.
$(READY): settings.ini setup.py constraints.txt
	@echo "Installing into $(VENV): a few minutes the first time"
	test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
		{ $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(VENV)/bin/python install -q pip; }
	python -m pip install -q $(PIP_OPTIONS) -c constraints.txt -e '.[dev]'
	touch $@
