# Two commands do everything from nothing: `make demo` and `make test`. Each makes .venv, installs
# the project into it and runs. Needed before: Python 3.10 to 3.12, git and make.

PYTHON ?= python3
VENV ?= .venv
# The torch that was tested; a CPU build is enough. Further pip options go into PIP_ARGS.
TORCH ?= torch==2.13.0
PIP_ARGS ?=
# lite: mmcv-lite and our stand-in for its compiled operations; full: compiled MMCV.
MMCV ?= lite
# More of pytest's arguments for `make test`.
PYTEST_ARGS ?=
# Processes of `make test`: one a core. At most four, as each loads torch anew.
PYTEST_PROCESSES ?= -n auto --maxprocesses 4 --dist loadfile
# What `make gpu` measures on, where its report goes, and a Python that has all it needs already:
# another than the environment's is taken as it is, and nothing is installed.
DEVICE ?= cuda
GPU_OUT ?= work_dirs/gpu_report
GPU_PYTHON ?= $(BIN)/python
# A folder of packages that were carried there.
GPU_PATH ?=
# More of tools/gpu_report.py's arguments, such as `--parts inference batch`.
GPU_ARGS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-$(MMCV)
SHAPES := data/shapes
DEMO := work_dirs/demo
DEMO_CONFIG := configs/embedmask/rtmdet/embedmask_rtmdet_tiny_shapes.py

.PHONY: help install demo test test-slow test-install gpu lint clean

help:
	@echo "make demo       generate shapes, train, evaluate, draw predictions (minutes on two cores)"
	@echo "make test       run the default tests"
	@echo "make test-slow  run the slow tests"
	@echo "make test-install  build and install wheel and sdist, and run every verb of MIM"
	@echo "make gpu        test and measure on a GPU; DEVICE=cpu: everything small, to see that it runs"
	@echo "make lint       check format, lint and types"
	@echo "make clean      remove what the commands above made"

# torch comes first and exactly: a looser requirement of another package would pick another build.
$(INSTALLED): setup.py
	$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 12) else f'Python {v[0]}.{v[1]} is not supported: set PYTHON to a Python 3.10, 3.11 or 3.12')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(PIP_ARGS) "setuptools<82" wheel
	$(BIN)/pip install $(PIP_ARGS) "$(TORCH)"
	$(BIN)/pip install $(PIP_ARGS) --no-build-isolation -e ".[$(MMCV),optional,tests]"
	touch $@

install: $(INSTALLED)

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_PROCESSES) $(PYTEST_ARGS)

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m "slow and not gpu"

test-install: $(INSTALLED)
	$(BIN)/python -m pytest -m install tests/packaging

# On a GPU mmcv-lite's NMS and RoIAlign are torchvision's, of which PyPI has no build for a CPU.
$(VENV)/.torchvision: $(INSTALLED)
	$(BIN)/pip install $(PIP_ARGS) "$(TORCH)" torchvision
	touch $@

# The report is written whether or not every test passes.
gpu: export PYTHONPATH := $(CURDIR):$(GPU_PATH):$(PYTHONPATH)
gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),$(if $(filter cpu,$(DEVICE)),$(INSTALLED),$(VENV)/.torchvision))
	@status=0; set -x; \
	$(GPU_PYTHON) -m pytest tests/gpu $(if $(filter cpu,$(DEVICE)),-k pretended,-m gpu) || status=1; \
	$(GPU_PYTHON) tools/gpu_report.py --device $(DEVICE) $(if $(filter cpu,$(DEVICE)),--small) \
		--out $(GPU_OUT) $(GPU_ARGS) || status=1; \
	exit $$status

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

demo: $(INSTALLED)
	$(BIN)/python tools/make_shapes_coco.py $(SHAPES) --train 1000 --val 100 --size 128 128 \
		--sizes 0.35 0.75 --max-objects 4 --classes ellipse polygon ring
	$(BIN)/python tools/train.py $(DEMO_CONFIG) --work-dir $(DEMO)
	$(BIN)/python tools/test.py $(DEMO_CONFIG) $$(cat $(DEMO)/last_checkpoint) --work-dir $(DEMO)
	$(BIN)/python tools/picture_sheet.py $(DEMO_CONFIG) $$(cat $(DEMO)/last_checkpoint) $(DEMO)/predictions.png --score-thr 0.45

clean:
	rm -rf $(VENV) $(SHAPES) $(DEMO) .pytest_cache .hypothesis .mypy_cache .ruff_cache
