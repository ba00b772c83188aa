# Everything runs from .venv, which `make setup` makes; nothing has to be activated or sourced.
PYTHON ?= python3
VENV := .venv/bin
DEMO_CLIP := samples/pets09_s2l1.mp4
# MODEL=pose: another shipped model, or a file, than the default one.
DEMO_OUT := out/demo$(if $(MODEL),_$(notdir $(basename $(MODEL))))
DEMO_MODEL := $(if $(MODEL),--model $(MODEL),--classes person)
BENCH_OUT := out/bench

# `make setup` leaves compiling to the first import; without its files every process of the tests
# would compile torch again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo test lint bench train-tiny clean

help:  ## show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup:  ## make or update .venv: packages, ROS 2 from wheels, vision_msgs
	@$(PYTHON) scripts/setup_environment.py

setup-test:  ## the same, and what tests and training need
	@$(PYTHON) scripts/setup_environment.py --tests

demo: setup  ## play a sample clip through the real node, results in out/demo; MODEL=pose: out/demo_pose
	$(VENV)/python -m centertrack_ros.replay.make_bag --force $(DEMO_CLIP) $(DEMO_OUT)/bag
	$(VENV)/python -m centertrack_ros.replay $(DEMO_OUT)/bag --output $(DEMO_OUT) --mode live --rate 1 --video $(DEMO_MODEL)

test: lint  ## linters, type check, and all tests
	$(VENV)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

lint: setup-test  ## ruff and mypy
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy

bench: setup-test  ## speed on this machine: stages, engines, crowds and sizes; BENCH_ARGS="--video FILE"
	mkdir -p $(BENCH_OUT)
	$(VENV)/python -m benchmarks.engines --json $(BENCH_OUT)/engines.json $(BENCH_ARGS)
	$(VENV)/python -m benchmarks.scaling --json $(BENCH_OUT)/scaling.json --plot $(BENCH_OUT)/scaling.png $(BENCH_ARGS)
	$(VENV)/python -m benchmarks.pipeline --json $(BENCH_OUT)/pipeline.json $(BENCH_ARGS)

train-tiny: setup-test  ## train a tiny set by heart; KIND=video|pose|boxes3d ARCHITECTURE=resnet18
	$(VENV)/python -m training.overfit $(or $(KIND),video) --again $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

clean:  ## remove what the other targets made, .venv too
	rm -rf .venv out build install log .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
