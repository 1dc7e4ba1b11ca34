# SPDX-License-Identifier: Apache-2.0
# The front door. The build itself is meson's; see ARCHITECTURE.md for the map.
#   make            build          make check      every test (installs what is missing)
#   make demo       the story      make test-fast  the inner loop, under a minute
#   make bench      kernel against berth, alternating
#   make oracle SEEDS=1-5000   random programs of socket calls, the kernel's answers against berth's
BUILD ?= build

.PHONY: all deps demo demo-servers check test-fast oracle bench install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) $(NINJA_ARGS)

$(BUILD)/build.ninja:
	@tools/install-deps build
	@meson setup $(BUILD) -Dtests=false >/dev/null

demo: all
	@demo/story $(BUILD)

demo-servers: all
	@tools/install-deps demo-servers
	@demo/servers $(BUILD)

check:
	@tools/install-deps check
	@tools/check

test-fast:
	@tools/check --fast

SEEDS ?= 1-5000
oracle: $(BUILD)/build.ninja
	@tools/install-deps check
	@meson configure $(BUILD) -Dtests=true >/dev/null
	@ninja -C $(BUILD) $(NINJA_ARGS)
	@tests/oracle/run --build $(BUILD) --seeds $(SEEDS)

bench: all
	@bench/run --build $(BUILD)

install: all
	@meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) build-clang build-asan
