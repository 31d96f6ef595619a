# fkd: `make help` lists the targets. Every target does its own set-up.

EXPERIMENT ?=
DATA ?= auto
SET ?=
STORE ?= models_store
FRESH ?=
TENSORBOARD ?=
TRAIN ?=
SPOT_NOTICE ?=
AT_ONCE ?=
JOBS ?=
ENGINE ?=
ADDRESS ?=
KILLS ?= 200
FAULTS ?=
N ?= 300
TOPICS ?=
SEED ?=
BACKEND ?= $(if $(filter gpu-%,$(MAKECMDGOALS)),jax,tensorflow)
KAGGLE ?=
WHEELS ?= wheels
WHEELS_PYTHON ?= 3.12

# The newest of the supported Pythons, the machine's own first.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
# A GPU that the driver shows wants the packages that can use it.
GPU := $(if $(shell nvidia-smi -L 2>/dev/null | grep '^GPU'),gpu)
ifeq ($(filter $(BACKEND),tensorflow jax),)
$(error BACKEND: expected tensorflow or jax, received '$(BACKEND)'; set one of them)
endif
ifeq ($(BACKEND),jax)
LOCK := requirements/jax$(GPU:%=-%).txt
READY := .venv/run-jax
TESTS := $(wildcard tests/training/test_*.py)
export KERAS_BACKEND := jax
else
LOCK := requirements/$(or $(GPU),base).txt
READY := .venv/run
TESTS :=
endif

FKD := .venv/bin/fkd
RUN := $(EXPERIMENT) --data '$(DATA)' --store '$(STORE)'
OPTIONS := $(if $(FRESH),--fresh) $(if $(TENSORBOARD),--tensorboard) $(SPOT_NOTICE:%=--spot-notice %) $(AT_ONCE:%=--at-once %) \
	$(JOBS:%=--jobs %) $(ENGINE:%=--engine %) $(ADDRESS:%=--address %)
SETTINGS := $(foreach setting,$(SET),--set '$(setting)')

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help train-ensemble submit data explore report status select compare demo review onnx ray resnet test lint types chaos fuzz gradients screenshots bench gpu-wheels gpu-check bench-report lock docs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
	@echo
	@echo 'Variables: EXPERIMENT=stem of experiments/*.yaml or a path  DATA=auto|kaggle|synthetic|folder'
	@echo '           SET="key=value ..."  STORE=folder|s3://...|gs://...|file://...  SPOT_NOTICE=ec2'
	@echo '           FRESH=1 (train anew)  TENSORBOARD=1 (write logs)  AT_ONCE=n (members in one step)'
	@echo '           JOBS=n (members side by side)  ENGINE=ray ADDRESS=host:port'
	@echo '           BACKEND=jax (an environment without TensorFlow)'
	@echo '           KAGGLE="message" (submit: upload it, wait for its scores)'
	@echo '           KILLS=n SEED=n FAULTS=1 (chaos)  N=n SEED=n (fuzz)'

train-ensemble: $(READY) ## Train every member of every specialist; resume where it stopped
	$(FKD) train $(RUN) $(SETTINGS) $(OPTIONS)

submit: $(READY) ## Select members, average them, write models_store/<run>/submission.csv
	$(FKD) submit $(RUN) $(SETTINGS) $(if $(KAGGLE),--to-kaggle '$(KAGGLE)')

data: $(READY) ## Read, download or generate the data and say what is in it
	$(FKD) data --data '$(DATA)'

explore: $(READY) ## Write a page of the data, before any training
	$(FKD) explore $(EXPERIMENT) --data '$(DATA)' $(SETTINGS)

report: $(READY) ## Write the page of a run, finished or not
	$(FKD) report $(RUN) $(SETTINGS)

status: $(READY) ## Show where the members of a run, or of all runs, stand
	$(FKD) status $(RUN)

select: $(READY) ## Choose members and say what the choice is worth
	$(FKD) select $(RUN) $(SETTINGS)

compare: $(READY) ## The tables of experiments/comparisons from stored runs (TRAIN=1: train what is missing)
	$(FKD) compare $(if $(TRAIN),--train) $(EXPERIMENT)

demo: $(READY) ## A page on this machine: drop a photo, see its points
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.txt
	$(FKD) demo

review: $(READY) ## A page on this machine: labels that look wrong, to keep, drop or move
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.txt
	$(FKD) review $(RUN) $(SETTINGS)

onnx: $(READY) ## Install ONNX Runtime: quick predictions, and its export
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/onnx.txt

ray: $(READY) ## Install what training on a Ray cluster needs
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/ray.txt

resnet: $(READY) ## Install what the ResNet experiments need
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/resnet.txt

# Many processes import the same modules: their bytecode is kept, whatever the environment says.
PYTEST := PYTHONDONTWRITEBYTECODE= .venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(TESTS)

# The types, which take one core half a minute, are checked while the first tests run.
test: .venv/test lint ## Lint, check types and run the tests
	.venv/bin/mypy & $(PYTEST); tests=$$?; wait $$! && exit $$tests

lint: .venv/test ## Check style
	.venv/bin/ruff check
	.venv/bin/ruff format --check

types: .venv/test ## Check the types of the package
	.venv/bin/mypy

chaos: .venv/test ## Kill a small training KILLS times and compare it with an undisturbed one
	.venv/bin/python tests/helpers/chaos.py --kills $(KILLS) $(if $(SEED),--seed $(SEED)) $(JOBS:%=--jobs %) \
		$(ENGINE:%=--engine %) $(if $(FAULTS),--faults)

fuzz: .venv/test ## Damage inputs, run files and arguments N times and hold fkd to its promises
	.venv/bin/python tests/helpers/fuzz.py --cases $(N) $(if $(SEED),--seed $(SEED))

gradients: .venv/test ## Compare the gradients of small networks with oneDNN and without it (4 minutes)
	.venv/bin/python tests/helpers/gradient_sweep.py

screenshots: .venv/test ## Take the pictures of the pages in docs/ anew, from the run quick-synthetic
	.venv/bin/python tests/helpers/screenshots.py

bench: .venv/test $(if $(or $(filter rivals whole_photos,$(TOPICS)),$(if $(TOPICS),,all)),.venv/rivals/installed) ## Run the benchmarks and write experiments/BENCHMARKS.md (TOPICS="reading training": only these)
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	.venv/bin/python -m experiments.bench $(TOPICS)

# What a bare machine with JAX, PyTorch and OpenCV has already need not be carried there (THERE= for all).
THERE ?= contourpy fonttools h5py jax jaxlib joblib kiwisolver matplotlib ml-dtypes numpy opencv-python-headless pandas pillow \
	pip scikit-learn scipy setuptools
CARRIED := $(WHEELS)/requirements.txt

gpu-wheels: requirements/jax.txt ## Fetch what gpu-check needs into wheels/, for a machine without a network
	@mkdir -p $(WHEELS)
	@awk '/^[a-z]/ { there = /^($(subst $() ,|,$(strip $(THERE) none)))==/ } !there' $< > $(CARRIED)
	$(PYTHON) -m pip download --quiet --no-deps --require-hashes --only-binary :all: --python-version $(WHEELS_PYTHON) \
		--implementation cp $(foreach glibc,17 24 26 27 28,--platform manylinux_2_$(glibc)_x86_64) --platform manylinux2014_x86_64 \
		--dest $(WHEELS) --requirement $(CARRIED)

gpu-check: $(if $(wildcard $(CARRIED)),.gpu-check/installed,$(READY)) ## What this machine is worth, in ten minutes: steps, kills, projected minutes
	KERAS_BACKEND=jax $(if $(wildcard $(CARRIED)),PYTHONPATH=.gpu-check:. $(PYTHON),.venv/bin/python) -m experiments.bench gpu_check

.gpu-check/installed: $(CARRIED)
	$(PYTHON) -m pip install --quiet --no-index --no-deps --no-compile --upgrade --target .gpu-check $(WHEELS)/*.whl
	@touch $@

bench-report: .venv/test ## Time the pages: 7,049 rows, and 100 members with 300 epochs each
	.venv/bin/python -m experiments.bench.report --data $(if $(filter auto,$(DATA)),synthetic,'$(DATA)')

# They are all installed into one environment, so they agree on every version.
LOCKED_TOO := gpu jax jax-gpu resnet onnx demo ray bench
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --universal --generate-hashes --annotation-style line --python-version 3.11 setup.cfg

lock: ## Renew the lock files from setup.cfg (needs uv)
	$(COMPILE) --extra test -o requirements/test.txt
	$(COMPILE) --extra tensorflow --constraint requirements/test.txt -o requirements/base.txt
	for extra in $(LOCKED_TOO); do \
		$(COMPILE) --extra $$extra --constraint requirements/test.txt -o requirements/$$extra.txt || exit 1; done
	$(subst setup.cfg,requirements/rivals.in,$(COMPILE)) -o requirements/rivals.txt

docs: .venv/test ## Write docs/settings.md anew from the settings themselves
	.venv/bin/python -m fkd.experiment.reference > docs/settings.md

clean: ## Remove the virtual environment and caches; runs and data stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

$(READY): $(LOCK) setup.cfg
	$(call install,$(LOCK))

# What fkd is compared with, apart: MediaPipe needs an older protobuf than TensorFlow.
.venv/rivals/installed: requirements/rivals.txt .venv/test
	@echo 'Installing the packages of $< into .venv/rivals (150 MB)'
	@.venv/bin/python -m venv .venv/rivals
	@.venv/rivals/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/test: requirements/test.txt setup.cfg
	$(call install,requirements/test.txt)

define install
	@test -n '$(PYTHON)' || { echo 'fkd needs Python 3.11, 3.12 or 3.13 and found none; install one or set PYTHON=path'; exit 1; }
	@test -x .venv/bin/pip || $(PYTHON) -m venv .venv
	@echo 'Installing the packages of $(1) into .venv (a few minutes the first time)'
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
endef
