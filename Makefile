# The front door: each target is one or two commands around CMake, printed as they run.
# CMake itself works without this file: cmake -S . -B build && cmake --build build

BUILD       ?= build
JOBS        ?= $(shell nproc 2>/dev/null || echo 2)
TEST_JOBS   ?= 2
PREFIX      ?= /usr/local
FUZZ_SECONDS ?= 60
CMAKE_FLAGS ?=
WERROR      := $(if $(filter true,$(CI)),ON,OFF)

# Ninja where it is installed; a configured folder keeps what it was made with.
generator = $(if $(wildcard $(1)/CMakeCache.txt),,$(if $(shell command -v ninja),-G Ninja))
configure = cmake -S . -B $(1) $(call generator,$(1)) -DCLIPCU_WERROR=$(WERROR)

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help deps configure build demo test test-full gpu-check coverage coverage-kernels fuzz \
        install package clean format

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile
	@echo "variables: BUILD=$(BUILD) JOBS=$(JOBS) PREFIX=$(PREFIX) FUZZ_SECONDS=$(FUZZ_SECONDS)" \
	    "CMAKE_FLAGS=$(CMAKE_FLAGS)"

deps: ## install what is missing (apt-get) or say what to install
	@cmake/deps.sh

configure: deps
	$(call configure,$(BUILD)) $(CMAKE_FLAGS)

build: configure ## library, command and tests, in the folder BUILD
	cmake --build $(BUILD) --parallel $(JOBS)

demo: configure ## classify the pictures in tests/data/emoji with the model in weights/demo
	cmake --build $(BUILD) --parallel $(JOBS) --target clipcu_cli
	$(BUILD)/clipcu classify --model weights/demo --labels tests/data/emoji/labels.txt \
	    tests/data/emoji

test: build ## every test; the last line counts them
	tests/run.sh $(BUILD) $(TEST_JOBS)

# The second build also leaves -march=native out: the code that a portable binary runs.
test-full: test ## test, every kernel case, then host code under the sanitizers and valgrind
	tests/run.sh $(BUILD) $(TEST_JOBS) --build-config full --label-regex emu-full
	CLIPCU_SWEEP_MAX=1000000 tests/run.sh $(BUILD) $(TEST_JOBS) --tests-regex test_memory_
	$(call configure,$(BUILD)-asan) -DCLIPCU_SANITIZE=ON -DCLIPCU_NATIVE=OFF $(CMAKE_FLAGS)
	cmake --build $(BUILD)-asan --parallel $(JOBS)
	tests/run.sh $(BUILD)-asan $(TEST_JOBS) --label-regex 'unit|agree|cli|hostile'
	if ! echo 'int main(void) {}' | clang -fopenmp -fsanitize=thread -x c - -o /dev/null; then \
	    echo "SKIPPED: ThreadSanitizer needs clang and its OpenMP"; else \
	    $(call configure,$(BUILD)-tsan) -DCLIPCU_TSAN=ON -DCLIPCU_CUDA=OFF \
	        -DCMAKE_C_COMPILER=clang $(CMAKE_FLAGS) && \
	    cmake --build $(BUILD)-tsan --parallel $(JOBS) && \
	    tests/sanitize/threads.sh $(BUILD)-tsan; fi
	if ! command -v valgrind; then echo "SKIPPED: needs valgrind"; else \
	    $(call configure,$(BUILD)-valgrind) -DCLIPCU_NATIVE=OFF -DCLIPCU_CUDA=OFF $(CMAKE_FLAGS) && \
	    cmake --build $(BUILD)-valgrind --parallel $(JOBS) && \
	    tests/sanitize/valgrind.sh $(BUILD)-valgrind; fi
	CLIPCU_RESOURCES_FULL=1 CLIPCU_BUILD=$(BUILD) tests/gpu/test_resources.sh || test $$? = 77
	if ! command -v dpkg-shlibdeps || ! command -v file; then echo "SKIPPED: the package"; else \
	    $(MAKE) package && { tests/install/package.sh $(BUILD)-package || test $$? = 77; }; fi

gpu-check: ## on a machine with a GPU: conformance, agreement, sanitizers, times; bench/results/
	tests/gpu/gpu_check.sh $(BUILD)-gpu

coverage: deps ## which lines of host/ the tests run; fails below 90 %
	$(call configure,$(BUILD)-lines) -DCLIPCU_COVERAGE=ON -DCLIPCU_CUDA=OFF $(CMAKE_FLAGS)
	cmake --build $(BUILD)-lines --parallel $(JOBS)
	find $(BUILD)-lines -name '*.gcda' -delete
	GCOV_ERROR_FILE=/dev/null tests/run.sh $(BUILD)-lines $(TEST_JOBS) \
	    --label-regex 'unit|agree|cli|hostile|fuzz' # tests may forbid that counts be written
	tests/coverage/coverage.sh $(BUILD)-lines host 90

coverage-kernels: deps ## which lines of kernels/ the tests on the emulator run
	$(call configure,$(BUILD)-coverage) -DCLIPCU_EMU_COVERAGE=ON $(CMAKE_FLAGS)
	cmake --build $(BUILD)-coverage --parallel $(JOBS)
	tests/run.sh $(BUILD)-coverage $(TEST_JOBS) --label-regex '^emu$$'
	tests/coverage/coverage.sh $(BUILD)-coverage kernels 95

fuzz: deps ## look for inputs that break what reads files, FUZZ_SECONDS for each kind of file
	$(call configure,$(BUILD)-fuzz) -DCMAKE_C_COMPILER=clang -DCLIPCU_FUZZ=ON $(CMAKE_FLAGS)
	cmake --build $(BUILD)-fuzz --parallel $(JOBS) --target fuzz_targets
	tests/fuzz/fuzz.sh $(BUILD)-fuzz $(FUZZ_SECONDS)

install: configure ## library, header, command and demo model, under PREFIX
	$(call configure,$(BUILD)) -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(CMAKE_FLAGS)
	cmake --build $(BUILD) --parallel $(JOBS)
	cmake --install $(BUILD)

package: deps ## a .deb in the folder BUILD-package that runs on any processor of its kind
	$(call configure,$(BUILD)-package) -DCLIPCU_PACKAGE=ON -DCLIPCU_NATIVE=OFF \
	    -DCLIPCU_TESTS=OFF -DCMAKE_INSTALL_PREFIX=/usr -DCLIPCU_ZSH_FOLDER=zsh/vendor-completions \
	    $(CMAKE_FLAGS)
	cmake --build $(BUILD)-package --parallel $(JOBS)
	cd $(BUILD)-package && cpack -G DEB

clean: ## remove what was built
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-coverage $(BUILD)-fuzz $(BUILD)-gpu \
	    $(BUILD)-lines $(BUILD)-package

format: ## run clang-format over all C files but tables of data
	find include host tests -name '*.[ch]' ! -name '*_table.c' -exec clang-format -i {} +
