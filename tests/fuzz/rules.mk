# SPDX-License-Identifier: BSD-2-Clause
# libFuzzer targets: tests/fuzz/fuzz_NAME.c with the sources of fuzz_NAME below.
#
#   make fuzz                    each for FUZZ_SECONDS
#   make fuzz FUZZ_TARGETS=store one of them
#
# What a run found interesting stays in build/fuzz/corpus, so that the next one goes on from there;
# an input that fails is left in build/fuzz, and `build/fuzz/fuzz_NAME FILE` repeats it.

FUZZ          := $(BUILD)/fuzz
FUZZ_SECONDS  := 60
FUZZ_TARGETS  := store restore bootinfo config loader insn
FUZZ_CFLAGS   := -std=gnu11 -g -O1 -Wall -Wextra -Werror -I. -Iinclude \
		 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		 -fsanitize-coverage-ignorelist=tests/fuzz/uninstrumented.txt
FUZZ_OPTIONS  := -timeout=20 -rss_limit_mb=2048 -print_final_stats=1

fuzz_store    := $(wildcard tmem/*.c) $(engine_sources) tests/fuzz/store_host.c $(lz4_sources)
fuzz_restore  := $(wildcard tmem/*.c) tests/fuzz/store_host.c $(lz4_sources)
fuzz_bootinfo := $(unit_test_multiboot2)
fuzz_config   := $(unit_test_config)
fuzz_loader   := $(loader_sources)
fuzz_insn     := $(unit_test_decode_mmio)

.SECONDEXPANSION:
$(FUZZ)/fuzz_%: tests/fuzz/fuzz_%.c $$(fuzz_$$*) tests/fuzz/rules.mk
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(call depend,clang $(FUZZ_CFLAGS),$(filter %.c,$^))
	$(Q)clang $(FUZZ_CFLAGS) -o $@ $(filter %.c,$^) -lcmocka $(LZ4)

-include $(addprefix $(FUZZ)/fuzz_,$(addsuffix .d,$(FUZZ_TARGETS)))

$(FUZZ)/seeds: tests/fuzz/seeds.py
	$(Q)$(PYTHON) $< $@
	@touch $@

.PHONY: deps-fuzz fuzz fuzz-smoke fuzz-smoke-programs
deps-fuzz:
	@tools/deps.sh fuzz

fuzz: deps-build deps-fuzz $(FUZZ_TARGETS:%=$(FUZZ)/fuzz_%) $(FUZZ)/seeds
	@for name in $(FUZZ_TARGETS); do \
		log=$(FUZZ)/$$name.log; \
		mkdir -p $(FUZZ)/corpus/$$name; \
		$(FUZZ)/fuzz_$$name -max_total_time=$(FUZZ_SECONDS) $(FUZZ_OPTIONS) \
			-artifact_prefix=$(FUZZ)/$$name- $(FUZZ)/corpus/$$name \
			$(FUZZ)/seeds/$$name > $$log 2>&1 || { tail -n 60 $$log; exit 1; }; \
		echo "fuzz $$name: $$(sed -n 's/^stat::number_of_executed_units: *//p' $$log) inputs"; \
	done

# Short enough for every run of the tests, and with the same dice each time.
SMOKE_TARGETS := store restore
fuzz-smoke-programs: deps-build deps-fuzz $(SMOKE_TARGETS:%=$(FUZZ)/fuzz_%) $(FUZZ)/seeds
fuzz-smoke:
	@$(MAKE) --no-print-directory fuzz FUZZ_TARGETS='$(SMOKE_TARGETS)' FUZZ_SECONDS=6 \
		FUZZ_OPTIONS='$(FUZZ_OPTIONS) -seed=1'
