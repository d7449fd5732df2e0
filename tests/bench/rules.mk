# SPDX-License-Identifier: BSD-2-Clause
# The host benchmark of the page store: tmem/ and the copies that it is given, as the hypervisor builds
# them, but for what only a kernel can be.

BENCH        := $(BUILD)/bench
BENCH_TMEM_C := $(wildcard tmem/*.c) arch/x86_64/cpu/copy.c arch/x86_64/cpu/lz4.c
BENCH_C      := $(wildcard tests/bench/store*.c) tests/unit/lz4_host.c
BENCH_OBJS   := $(BENCH_TMEM_C:%.c=$(BENCH)/%.o) $(BENCH_C:%.c=$(BENCH)/%.o)
BENCH_TMEM_CFLAGS := $(filter-out -mcmodel=kernel -mstack-protector-guard=global,$(CFLAGS))
BENCH_CFLAGS := -std=gnu11 -O2 -g -fno-pie $(WARNINGS)

$(BENCH)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -I. -Iinclude $(BENCH_CFLAGS) -MMD -MP -c -o $@ $<

$(BENCH)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(BENCH_TMEM_CFLAGS) -MMD -MP -c -o $@ $<

$(BENCH)/store: $(BENCH_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) -no-pie -o $@ $^ -lpthread $(LZ4)

-include $(BENCH_OBJS:.o=.d)
