# Thin verbs over CMake presets and the tools. "make help" lists them.
.DEFAULT_GOAL := help
.PHONY: help build run test faults soak soak-mixed conformance bench bench-writes bench-postgres bench-vector bench-embed bench-search bench-quality asan tsan fuzz test-arm64 \
        format format-check tidy install clean setup-build engine model

PREFIX ?= /usr/local
DESTDIR ?=
DEMO ?=
FUZZ_SECONDS ?= 60
RELEASE := build/release
# One moving line on a terminal, silence in a log.
NINJA := ninja $(if $(MAKE_TERMOUT),,--quiet)
CONFIGURE := cmake --log-level=NOTICE >/dev/null --preset

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup-build:
	@tools/setup.sh build

engine: setup-build
	@tools/fetch_engine.sh

# A build without the model is whole but for search by meaning, and says so.
model: setup-build
	@tools/fetch_model.sh >/dev/null || echo "continuing without the built-in embedding model" >&2

# Configuring again costs a second and changes nothing: Ninja does it by itself
# when a CMake file changed.
$(RELEASE)/build.ninja: | engine model
	@$(CONFIGURE) release

build: engine model $(RELEASE)/build.ninja ## build/release/tarn and tarn-vector, installing what is missing
	@[ -f $(RELEASE)/all-MiniLM-L6-v2.tarn-model ] || $(CONFIGURE) release
	@ninja -C $(RELEASE) -n | grep -q 'no work to do' || $(NINJA) -C $(RELEASE)

run: build ## make ./demo-lake, load the staffing workload, serve it and print the link
	@exec $(RELEASE)/tarn demo $(DEMO)

test: build ## every test but the heavy clients; ends with one total
	@tools/setup.sh test
	@python3 tools/run_tests.py unit system light

conformance: build ## five foreign engines write and read our tables; fetches 1.5 GB once
	@tools/setup.sh test
	@python3 tools/run_tests.py heavy

faults: build ## 10,000 simulated crash histories, 300 kills, every call of a write failing (FAULTS=N, KILLS=N)
	@$(RELEASE)/tests/sim/tarn_sim --histories $(or $(FAULTS),10000)
	@tools/setup.sh test && tools/venv.sh system >/dev/null
	@TARN_FAULT_KILLS=$(or $(KILLS),300) TARN_FAULT_TURNS=1000 TARN_BINARY=$(RELEASE)/tarn \
	    build/venv-system/bin/python -m pytest -c tests/pytest.ini --rootdir . -q -s tests/system/test_faults_kill.py \
	    tests/system/test_faults_turns.py tests/system/test_faults_disk.py tests/system/test_faults_two.py \
	    tests/system/test_faults_command.py tests/system/test_faults_missing.py tests/system/test_faults_clock.py

soak: build ## 4 writers and 4 readers for TARN_SOAK_SECONDS (600) with upkeep running; 0 violations
	@tools/setup.sh test && tools/venv.sh system >/dev/null
	@TARN_BINARY=$(RELEASE)/tarn build/venv-system/bin/python tests/soak/soak.py

soak-mixed: build ## texts changed, searched, asked and queried for TARN_SOAK_SECONDS (600); memory must end to grow
	@tools/setup.sh test && tools/venv.sh system >/dev/null
	@TARN_BINARY=$(RELEASE)/tarn build/venv-system/bin/python tests/soak/mixed.py

bench: build ## the figures of docs/benchmarks.md, peers in the same run
	@tools/setup.sh bench
	@tools/venv.sh bench
	@build/venv-bench/bin/python tests/bench/bench_lake.py $(BENCH)

bench-writes: build ## what writing costs, LanceDB and PyIceberg in the same run
	@tools/setup.sh bench
	@tools/venv.sh bench
	@build/venv-bench/bin/python tests/bench/bench_writes.py $(BENCH)

bench-postgres: build ## a table of PostgreSQL into a dataset, beside psql \copy alone, and memory at 10 M rows
	@tools/setup.sh test && tools/venv.sh system >/dev/null && tools/venv.sh --each postgres
	@build/venv-system/bin/python bench/postgres/run.py --memory-rows 10000000 $(BENCH)

bench-vector: build ## the vector engine against its peers
	@tools/setup.sh bench
	@bench/vector/run.sh $(BENCH)

bench-search: build ## 100,000 résumés embedded and searched over HTTP (BENCH="--quick --keep --only hybrid")
	@tools/setup.sh bench
	@tools/venv.sh bench
	@build/venv-bench/bin/python bench/search/bench.py $(BENCH)

bench-quality: build ## how good the answers are: words, meaning, both, by cross-validation
	@tools/setup.sh test && tools/venv.sh system >/dev/null
	@TARN_BINARY=$(RELEASE)/tarn build/venv-system/bin/python bench/search/quality.py $(BENCH)

bench-embed: build ## the built-in embedder against ONNX Runtime: fidelity and speed
	@tools/setup.sh bench
	@bench/embed/run.sh $(BENCH)

asan: engine ## unit tests and corpora under AddressSanitizer and UBSan
	@$(CONFIGURE) asan && $(NINJA) -C build/asan
	@tools/setup.sh test && python3 tools/run_tests.py --build build/asan unit

tsan: engine ## unit tests under ThreadSanitizer
	@$(CONFIGURE) tsan && $(NINJA) -C build/tsan
	@tools/setup.sh test && TSAN_OPTIONS="suppressions=$(CURDIR)/tests/support/tsan.supp $$TSAN_OPTIONS" \
	    python3 tools/run_tests.py --build build/tsan unit

fuzz: engine ## every fuzz target for FUZZ_SECONDS (60)
	@tools/setup.sh clang
	@$(CONFIGURE) fuzz && $(NINJA) -C build/fuzz tests/fuzz/all
	@tools/fuzz.sh $(FUZZ_SECONDS) $(FUZZ)

test-arm64: ## base, vector, embed and demo, cross-compiled, under emulation
	@tools/setup.sh build arm64
	@$(CONFIGURE) arm64 && $(NINJA) -C build/arm64 src/base/all src/vector/all src/embed/all src/demo/all
	@ctest --test-dir build/arm64 -j 2 --output-on-failure -R '^(base|demo)/|^embed/(kernels|model)_test'
	@tools/test_arm64.sh build/arm64-vector

format: ## clang-format over the C files
	@tools/setup.sh clang
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

format-check: ## complain about files that clang-format would change
	@tools/setup.sh clang
	@git ls-files '*.c' '*.h' | xargs clang-format-14 --dry-run --Werror

tidy: engine ## clang-tidy over src
	@tools/setup.sh clang
	@$(CONFIGURE) clang
	@run-clang-tidy-14 -quiet -p build/clang '$(CURDIR)/src/.*\.c$$' 2>/dev/null

install: build ## the programs, the engine, the model, man page, completions, systemd unit under PREFIX
	@DESTDIR=$(DESTDIR) cmake --install $(RELEASE) --prefix $(PREFIX) --strip >/dev/null
	@echo "installed under $(DESTDIR)$(PREFIX)"

clean: ## remove what was built; the fetched engine stays
	@find build -mindepth 1 -maxdepth 1 ! -name engine -exec rm -rf {} +
