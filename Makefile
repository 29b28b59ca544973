# Two commands do everything on a fresh machine: `make run` and `make test`. Needs git, make and python3 with venv or pip.
UV := scripts/uv
.DEFAULT_GOAL := help
# Without compiled modules every process, the tests' workers and the bridges they start too, compiles everything again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help run test crash lint format bench bench-durability bench-startup bench-render bench-providers clean

help:
	@echo "make run     no platform token set: open the sandbox; with DISCORD_TOKEN or TELEGRAM_TOKEN in .env: run the bot"
	@echo "make test    run every test"
	@echo "make crash   kill the bridge 208 times and more, and see what it owes (three quarters of an hour)"
	@echo "make lint    check style, types and import rules"
	@echo "make bench   measure how late the text is, on the sandbox, under load; make bench-startup: start-up time and memory;"
	@echo "             make bench-render: what rendering costs; make bench-providers: CPU time from a provider's bytes to events"

.venv/.synced: pyproject.toml
	@echo "installing what it needs into .venv; the first time this takes about a minute"
	@$(UV) sync --quiet
	@touch $@

run: .venv/.synced
	@exec .venv/bin/dragoman

# Files in their own order: those that wait, of few and long tests, come before the unit tests. Sorted by the number of their tests
# they would come last, and two workers stand idle while one waits.
test: .venv/.synced
	.venv/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

crash: .venv/.synced
	.venv/bin/python -m tests.crash $(ARGS)

lint: .venv/.synced
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: .venv/.synced
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench-durability: .venv/.synced
	.venv/bin/python -m bench.durability $(ARGS)

bench: .venv/.synced
	.venv/bin/python -m bench.load $(ARGS)

bench-providers: .venv/.synced
	.venv/bin/python -m bench.providers $(ARGS)

bench-startup: .venv/.synced
	.venv/bin/python -m bench.startup $(ARGS)

bench-render: .venv/.synced
	.venv/bin/python -m bench.render $(ARGS)

clean:
	rm -rf .venv .venv-newer .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
