# `make demo` and `make test` set up everything they need in .venv: no root, no account.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo up test lint format types histories bench-router bench-upload bench-campaigns bench-transfer bench-leads bench-media fuzz soak kills race test-livekit lock clean help

help:
	@echo "make demo    run a campaign of simulated people to its end (DEMO_ARGS=\"--leads 5 --seed 7 --keep\")"
	@echo "make up      start the whole stack on this machine and leave it running"
	@echo "make test    the tests (TEST_ARGS=\"-k recording\"; TEST_WORKERS=2 for two at a time)"
	@echo "make lint    style, import rules and types"
	@echo "make format  apply the formatter"
	@echo "make bench-router  allocations a second of the Smart Router, on a PostgreSQL of its own"
	@echo "make bench-upload  a file of 100,000 leads on SQLite and PostgreSQL (BENCH_ARGS=\"--json FILE\")"
	@echo "make bench-campaigns  results, clone, redial and cancel of 100,000 leads (BENCH_ARGS=\"--json FILE\")"
	@echo "make bench-leads     what a lead costs, leads a second, pacing, dispatch (BENCH_ARGS=\"--only cost --json FILE\")"
	@echo "make bench-transfer  what callers hear while they are handed to a human, in seconds"
	@echo "make bench-media     the media server beside a bare echo and Pipecat (BENCH_ARGS=\"--json FILE\")"
	@echo "make fuzz            100,000 messages of any kind at the media server: no crash, no leak"
	@echo "make soak            minutes of calls that come and go (SOAK_ARGS=\"--minutes 30\"): nothing grows"
	@echo "make kills           20 media servers killed in mid-call: all calls go on (KILLS_ARGS=\"--seed 7\")"
	@echo "make race            10,000 grants by eight dispatchers at once, none twice"
	@echo "make histories       workflow histories for the replay tests, written anew"
	@echo "make test-livekit    the tests with plugins of LiveKit, which are installed for it"
	@echo "make lock    write constraints.txt anew from pyproject.toml"

demo: $(READY)
	$(BIN)/breeze demo $(DEMO_ARGS)

up: $(READY)
	$(BIN)/breeze up $(UP_ARGS)

# All of them in two processes, for two cores; some, in one that prints and can be looked into.
TEST_WORKERS ?= $(if $(TEST_ARGS),0,2)
test: $(READY)
	$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) $(TEST_ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

types: $(READY)
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Names, versions and hashes only; the installed set is exactly this file.
$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

# Workflow histories for the replay tests: only for a change that is meant to break running workflows.
histories: $(READY)
	SAVE_HISTORIES=1 $(BIN)/python -m pytest tests/workflows/test_lead_life.py tests/workflows/test_inbound.py \
		tests/workflows/test_transfer.py tests/workflows/test_campaign_life.py tests/workflows/test_analysis.py \
		tests/workflows/test_wrapping_up.py

# Eight dispatchers on one PostgreSQL.
race: $(READY)
	RACE_GRANTS=10000 $(BIN)/python -m pytest -q tests/store/test_races.py -k eight_dispatchers --durations=1

# About a minute, on 127.0.0.1 only; wants PostgreSQL's server programs and a machine that does nothing else.
bench-router: $(READY)
	$(BIN)/python -m bench.router $(BENCH_ARGS)

# About a minute; wants PostgreSQL's server programs and a machine that does nothing else.
bench-upload: $(READY)
	$(BIN)/python -m bench.upload $(BENCH_ARGS)

# Three minutes; wants PostgreSQL's server programs and a machine that does nothing else.
bench-campaigns: $(READY)
	$(BIN)/python -m bench.whole_campaigns $(BENCH_ARGS)

# Half an hour with all sections, on 127.0.0.1 only; wants PostgreSQL and a machine that does nothing else.
bench-leads: $(READY)
	$(BIN)/python -m bench.leads $(BENCH_ARGS)

# Silence that callers live through when they are handed to a human, six calls at a time.
bench-transfer: $(READY)
	TRANSFERS_AT_ONCE=6 $(BIN)/python -m pytest -q -s tests/end_to_end/test_transfer.py -k every_ending

# Five minutes, on 127.0.0.1 only; installs Pipecat in a virtual environment of its own (BENCH_ARGS="--no-pipecat"
# leaves it out). Wants a machine that does nothing else.
bench-media: $(READY)
	$(BIN)/python -m bench.media $(BENCH_ARGS)

fuzz: $(READY)
	FUZZ_MESSAGES=100000 $(BIN)/python -m pytest -q -s -o faulthandler_timeout=3600 tests/media/test_fuzz.py

soak: $(READY)
	$(BIN)/python -m bench.media_soak $(SOAK_ARGS)

# Some minutes, on 127.0.0.1 only; what was going on at each kill, and how long the caller heard nothing
# (KILLS_ARGS="--kills 20 --at-once 4 --seed 7").
kills: $(READY)
	$(BIN)/python -m tests.end_to_end.killing $(KILLS_ARGS)

# The tests that want plugins of LiveKit, which `dev` does without, in an environment of their own. Takes two minutes.
test-livekit:
	test -x .venv-livekit/bin/python || $(PYTHON) -m venv .venv-livekit
	.venv-livekit/bin/python -m pip install --quiet --disable-pip-version-check \
		-e ".[dev,livekit]" livekit-plugins-openai livekit-plugins-deepgram
	.venv-livekit/bin/python -m pytest tests/media/test_livekit.py tests/media/test_llm_dialogue.py

lock:
	uv pip compile --quiet --universal --generate-hashes --no-header --extra dev --python-version 3.11 \
		--output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) .venv-livekit .breeze
