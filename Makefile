# Every target works on a fresh checkout: it creates .venv, installs what is missing, and is quick the second time.
PYTHON ?= python3
BIN := .venv/bin
# One process per core; a process that has no tests left takes some of another's.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses=8 --dist worksteal

.PHONY: install demo families tutorial test test-fast lint docs gallery screenshots bench clean
.DEFAULT_GOAL := test

install: .venv/installed ffmpeg slurm chromium

.venv/installed: pyproject.toml constraints.txt peers.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: PYTHON=$(PYTHON) is too old, Python >= 3.11 is needed: make PYTHON=python3.12"; exit 1; }
	@echo "make: PyTorch and all other packages go into .venv (6 GB), which takes minutes the first time"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv -c constraints.txt
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --compile-bytecode -c constraints.txt -e '.[dev]'
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --compile-bytecode --no-deps -r peers.txt
	@touch $@
	@echo "make: installed; next: source .venv/bin/activate"

# museval imports musdb, which imports stempeg, which needs ffmpeg and ffprobe on PATH.
.PHONY: ffmpeg
ffmpeg:
	@command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || sh .ci/install_ffmpeg.sh

# Only tests/cluster needs it.
.PHONY: slurm
slurm:
	@sh .ci/install_debian.sh slurmctld "slurm-wlm munge" "the tests of hydra/launcher=slurm are skipped"

# Only tests/browser needs it.
.PHONY: chromium
chromium:
	@sh .ci/install_debian.sh chromium chromium "the tests of pages in a browser are skipped"

demo: install
	$(BIN)/python src/train.py sweep=targets experiment=quick

# A small model of every family on the music of `make demo`, and one page that compares them: 22 minutes on two cores.
families: install
	$(BIN)/python src/train.py sweep=targets experiment=quick
	$(BIN)/python src/train.py -m experiment=xumx_demo,scnet_demo,bs_roformer_demo,mel_band_roformer_demo
	$(BIN)/python src/evaluate.py 'ckpt=["outputs/runs/quick-*","outputs/runs/xumx_demo-*","outputs/runs/scnet_demo-*","outputs/runs/bs_roformer_demo-*","outputs/runs/mel_band_roformer_demo-*"]'

# Runs the commands of docs/tutorial.md, some five minutes, and stores what they print in docs/generated/.
tutorial: install
	$(BIN)/python docs/tutorial_output.py

test: install
	$(PYTEST)

# Without the tests that are marked slow.
test-fast: install
	$(PYTEST) -m 'not slow'

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site of docs/, to be opened as a file; docs/_ext/site_check.py checks its links, offline. Notebooks are shown as the
# tests last ran them; those that changed since are run.
docs: .venv/installed ffmpeg
	$(BIN)/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet --builder html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# Every page that the project makes, of synthetic music, in outputs/gallery.
gallery: install
	$(BIN)/python docs/gallery.py

# The pictures of these pages in docs/images.
screenshots: gallery
	$(BIN)/python docs/screenshots.py

bench: bench-wiener bench-separate bench-evaluate bench-csdr bench-comparison bench-loader bench-scan bench-prepare bench-doctor bench-held_out bench-duplicates bench-test_set bench-train bench-epoch bench-together bench-side_by_side bench-parity_training bench-models bench-model_seconds bench-sweeps

bench-%: install
	$(BIN)/python bench/$*.py

clean:
	rm -rf .venv
