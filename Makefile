# make book · make pdf · make check · make test · make lint · make serve · make runs · make bench
# Each sets up .venv first, once: the exact versions of constraints.txt. An active environment is left alone.

PYTHON ?= python3.11
VENV := .venv
READY := $(VENV)/.ready
RUN := $(VENV)/bin/python -m

.PHONY: book pdf check test lint format serve runs address readme bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "This needs Python 3.11 with venv (on Debian: python3.11-venv)"; exit 1; }
	$(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[book,dev]'
	touch $@

book: $(READY)
	$(VENV)/bin/jupyter-book build book/ $(BOOK_FLAGS)
	@echo "Read it: open book/_build/html/index.html, or make serve"

# the whole book in one file, book/_build/marginface.pdf, printed by Chromium
CHROMIUM ?= $(firstword $(foreach name,chromium chromium-browser google-chrome,$(shell command -v $(name))))
pdf: book
	@test -n "$(CHROMIUM)" || { echo "This needs Chromium (on Debian: chromium), or CHROMIUM=..."; exit 1; }
	$(VENV)/bin/jupyter-book build book/ --builder singlehtml
	"$(CHROMIUM)" --headless $(if $(filter 0,$(shell id -u)),--no-sandbox) --disable-gpu --no-pdf-header-footer --virtual-time-budget=120000 \
		--print-to-pdf=book/_build/marginface.pdf "file://$(CURDIR)/book/_build/singlehtml/index.html"

# lint, types and the quick tests, in about a minute
check: lint
	$(RUN) pytest --numprocesses auto -m "not slow and not browser" $(ARGS)

test: $(READY)
	$(RUN) pytest --numprocesses auto --dist worksteal $(ARGS)

lint: $(READY)
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) codespell_lib
	$(RUN) mypy

format: $(READY)
	$(RUN) ruff format .
	$(RUN) ruff check --fix .
	$(RUN) nbstripout --keep-id notebooks/*.ipynb notebooks/*/*.ipynb

PORT ?= 8000
serve: $(READY)
	@test -f book/_build/html/index.html || { echo "There is no book yet: run make book"; exit 1; }
	@echo "The book is at http://localhost:$(PORT)/  (Ctrl-C ends this)"
	@$(RUN) http.server $(PORT) --bind localhost --directory book/_build/html

# make runs · make runs ONLY='iam/*' SEEDS=0-9 · make runs LIMIT=10m JOBS=2 · make runs DEVICE=cuda · make runs ONLY=iam/table2 FORCE=1
runs: $(READY)
	OMP_NUM_THREADS=1 $(RUN) marginface.book.runs $(if $(ONLY),--only '$(ONLY)') $(if $(SEEDS),--seeds $(SEEDS)) \
		$(if $(LIMIT),--limit $(LIMIT)) $(if $(DEVICE),--device $(DEVICE)) $(if $(JOBS),--jobs $(JOBS)) $(if $(FORCE),--force) $(if $(RETEST),--retest)

# after repository.url in _config.yml has changed: writes the address into the notebooks
address: $(READY)
	$(VENV)/bin/python book/install_cell.py

# what the README says was found, and its picture, from the recorded runs
readme: $(READY)
	$(RUN) marginface.book.readme

# time and memory of the losses, as ratios; some minutes
bench: $(READY)
	$(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench,mxnet]'
	for benchmark in benchmarks/*.py; do $(VENV)/bin/python $$benchmark || exit 1; done

clean:
	rm -rf book/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
