# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# pytest-xdist workers share the cores: one torch thread each.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
# A worker takes neighbours, which share what they import, compile and set up; whoever is done early takes over half of
# what another has left.
WORKERS := -n auto --dist worksteal

.PHONY: torture torture-inputs help demo test test-quick test-deep test-lowest test-faults test-browser test-peers test-loggers test-users test-ray test-slurm coverage lint types docs format bench clean

help:
	@echo "make demo       range test and training on real data, plots in outputs/"
	@echo "make test       lint, types and the tests (under ten minutes)"
	@echo "make test-quick the tests that neither train nor compile (under a minute)"
	@echo "make test-deep  what make test leaves out: its slowest tests, and four times as many drawn examples (minutes)"
	@echo "make test-lowest every test with the oldest versions allowed, in .venv-lowest"
	@echo "make coverage   every test, and which lines none of them runs"
	@echo "make docs       write the generated parts of the pages in docs/"
	@echo "make test-peers parity with optax (installs jax first)"
	@echo "make test-loggers the loggers' tests (installs MLflow and W&B first)"
	@echo "make test-users models as people have them, killed and resumed (installs torchvision and torchdata first)"
	@echo "make test-ray   the tests on a Ray cluster of this machine (installs Ray first)"
	@echo "make test-slurm the tests of Slurm by submitit's imitation (installs submitit first)"
	@echo "make test-browser the report in a headless Chromium (apt-get install chromium chromium-driver)"
	@echo "make test-faults kills sweeps 60 times and resumes them (minutes)"
	@echo "make torture    damage, kills, signals, power cuts, failing disks, a long run, and torture-inputs (an hour; installs Ray first)"
	@echo "make torture-inputs odd configs, misspelt keys, broken losses, files from strangers (minutes)"
	@echo "make bench      the benchmarks"
	@echo "make format     reformat the code"
	@echo "make clean      remove the environment and caches"

$(VENV)/.core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

# All at once: what there is need not be looked through twice.
$(VENV)/.test: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[test]'
	@touch $(VENV)/.core $@

demo: $(VENV)/.core
	$(BIN)/lrtool range-test configs/digits-mlp.yaml
	$(BIN)/lrtool train configs/digits-mlp.yaml --lr-from outputs/digits-mlp/latest

test: $(VENV)/.test lint types
	$(ONE_THREAD) $(BIN)/python -m pytest $(WORKERS) -m "not deep" tests

test-quick: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python -m pytest $(WORKERS) -m "not slow and not deep" tests

# The second line: the files that ask for `examples`.
test-deep: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python -m pytest $(WORKERS) -m deep tests
	$(ONE_THREAD) LRTOOL_TEST_DEEP=1 $(BIN)/python -m pytest $(WORKERS) -m "not deep" $$(grep -rl --include='*.py' 'import.* examples' tests)

# One environment for itself: its versions are the lowest that pyproject.toml names.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) .github/lowest.py > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check --constraint .venv-lowest/lowest.txt '.[test]'
	$(ONE_THREAD) .venv-lowest/bin/python -m pytest $(WORKERS) tests

coverage: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python -m pytest $(WORKERS) --cov --cov-report=term-missing tests

test-peers: $(VENV)/.test
	$(PIP) --editable '.[test,peers]'
	$(ONE_THREAD) $(BIN)/python -m pytest $(WORKERS) tests/integrations tests/report/schedules/test_parity.py

test-users: $(VENV)/.test
	$(PIP) --editable '.[test,users]'
	$(ONE_THREAD) $(BIN)/python -m pytest tests/users

# MLflow and W&B bring much that lrtool itself does not need.
test-loggers: $(VENV)/.test
	$(PIP) --editable '.[test,tensorboard,mlflow,wandb]'
	$(ONE_THREAD) $(BIN)/python -m pytest tests/loggers tests/experiments/tracking

# Clusters of this machine: nodes are killed and join again, so the tests take minutes.
test-ray: $(VENV)/.test
	$(PIP) --editable '.[test,ray]'
	$(ONE_THREAD) $(BIN)/python -m pytest tests/executors tests/experiments/spread

test-slurm: $(VENV)/.test
	$(PIP) --editable '.[test,slurm]'
	$(ONE_THREAD) $(BIN)/python -m pytest tests/executors tests/experiments/spread

test-browser: $(VENV)/.test
	$(PIP) --editable '.[test,browser]'
	$(ONE_THREAD) $(BIN)/python -m pytest -m browser tests/report/html
	$(BIN)/python tests/benchmarks/report_size.py

test-faults: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python tests/benchmarks/sweep_faults.py

# Damaged files, kills, signals, failing disks, power cuts, crowds, a long run, and what strangers bring, two at a time;
# `python -m tests.torture kills` does one part, `--list` names them. Files in memory, where there is room: what is
# tested is not the disk.
IN_MEMORY := TMPDIR=$$(test -w /dev/shm && echo /dev/shm || echo /tmp)

torture: $(VENV)/.test
	$(PIP) --editable '.[test,ray]'
	$(ONE_THREAD) $(IN_MEMORY) $(BIN)/python -m tests.torture

# Curves that diverge and that do not, misspelt keys, 20,000 odd configs, files from strangers.
torture-inputs: $(VENV)/.test
	$(ONE_THREAD) $(IN_MEMORY) $(BIN)/python -m tests.torture inputs

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

docs: $(VENV)/.core
	$(BIN)/python docs/generate.py

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test
	for file in $(filter-out %/sweep_faults.py %/report_size.py,$(wildcard tests/benchmarks/*.py)); do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) .venv-lowest .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
