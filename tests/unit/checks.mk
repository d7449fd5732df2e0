# SPDX-License-Identifier: BSD-2-Clause
# More of the unit tests: what lines they reach, what ThreadSanitizer says, and long runs.

# ---- line coverage of the store and of the boot-time parsers --------------------------------------

COVERAGE        := $(BUILD)/coverage
COVERAGE_TESTS  := $(filter tmem%,$(UNIT_NAMES)) \
		   multiboot2 config config_shared
COVERAGE_CFLAGS := $(filter-out -fsanitize% -fno-sanitize%,$(UNIT_CFLAGS)) -O0 --coverage

$(COVERAGE)/test_%: tests/unit/test_%.c $$(unit_test_$$*) tests/unit/checks.mk tests/unit/units.mk
	@mkdir -p $(@D)
	$(call say,COV,$<)
	$(Q)$(CC) $(COVERAGE_CFLAGS) -o $@ $(filter %.c,$^) -lcmocka -lpthread $(LZ4)

# Prints a table; fails below 95 % of tmem/.
.PHONY: coverage
coverage: deps-build deps-test $(COVERAGE_TESTS:%=$(COVERAGE)/test_%)
	@rm -f $(COVERAGE)/*.gcda
	@for name in $(COVERAGE_TESTS); do \
		$(COVERAGE)/test_$$name > $(COVERAGE)/$$name.log 2>&1 || \
			{ tail -n 30 $(COVERAGE)/$$name.log; exit 1; }; \
	done
	@$(PYTHON) tools/coverage.py --least tmem=95 $(COVERAGE) tmem boot core/config.c core/config_shared.c core/words.c

# ---- the reference model, ten million calls: too many for the sanitizers, which see the first of them

LONG_CFLAGS := $(filter-out -fsanitize% -fno-sanitize% -O1,$(UNIT_CFLAGS)) -O2 -DROUNDS=500u

$(UNIT)/long_tmem_model: tests/unit/test_tmem_model.c $$(unit_test_tmem_model)
	@mkdir -p $(@D)
	$(call say,LONG,$<)
	$(call depend,$(CC) $(LONG_CFLAGS),$(filter %.c,$^))
	$(Q)$(CC) $(LONG_CFLAGS) -o $@ $(filter %.c,$^) -lcmocka -lpthread $(LZ4)

-include $(UNIT)/long_tmem_model.d

# ---- ThreadSanitizer ------------------------------------------------------------------------------

TSAN_CFLAGS := $(filter-out -fsanitize% -fno-sanitize%,$(UNIT_CFLAGS)) -fsanitize=thread

$(UNIT)/tsan_tmem_threads: tests/unit/test_tmem_threads.c $$(unit_test_tmem_threads)
	@mkdir -p $(@D)
	$(call say,TSAN,$<)
	$(call depend,$(CC) $(TSAN_CFLAGS),$(filter %.c,$^))
	$(Q)$(CC) $(TSAN_CFLAGS) -o $@ $(filter %.c,$^) -lcmocka -lpthread $(LZ4)

-include $(UNIT)/tsan_tmem_threads.d

.PHONY: test-threads
test-threads: deps-test $(UNIT)/tsan_tmem_threads
	@$(UNIT)/tsan_tmem_threads

# ---- soak: the random tests again and again, with other seeds each time where they have any --------

SOAK_SECONDS := 600

.PHONY: soak
soak: unit-tests
	@end=$$(($$(date +%s) + $(SOAK_SECONDS))); rounds=0; \
	while [ $$(date +%s) -lt $$end ]; do \
		for test in long_tmem_model test_tmem_threads tsan_tmem_threads; do \
			$(UNIT)/$$test > $(UNIT)/soak.log 2>&1 || { tail -n 40 $(UNIT)/soak.log; exit 1; }; \
		done; \
		rounds=$$((rounds + 1)); \
	done; \
	echo "soak: $$rounds rounds"
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=$$(($(SOAK_SECONDS) / 5))
