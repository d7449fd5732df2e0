# SPDX-License-Identifier: BSD-2-Clause
#
# Included by the Makefile at the top, whose BUILD, CC and LD it uses: the tiny bare-metal test guests.
#
#   guest-tests    $(BUILD)/tests/guest/NAME.elf of each tests/guest/NAME.c

GUEST_TESTS	  := $(BUILD)/tests/guest
GUEST_TEST_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pie -fno-common -mno-red-zone \
		     -mgeneral-regs-only -fno-stack-protector -fcf-protection=none \
		     -fno-asynchronous-unwind-tables \
		     -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes \
		     -Wconversion -Wvla -I. -Iinclude
GUEST_TEST_LIB	  := $(patsubst tests/guest/%,$(GUEST_TESTS)/%.o,$(wildcard tests/guest/lib/*.[cS]))
GUEST_TEST_ELFS	  := $(patsubst tests/guest/%.c,$(GUEST_TESTS)/%.elf,$(wildcard tests/guest/*.c))
# How a guest is entered is up to one object of the library.
GUEST_PVH	  := $(GUEST_TESTS)/lib/pvh_note.S.o
GUEST_MULTIBOOT	  := $(GUEST_TESTS)/lib/multiboot_header.S.o
GUEST_TEST_LD	  := $(LD) -nostdlib -static -z max-page-size=4096 --no-warn-rwx-segments \
		     --build-id=none -T tests/guest/guest.lds

.PHONY: guest-tests
guest-tests: $(GUEST_TEST_ELFS) $(GUEST_TESTS)/multiboot32.elf

$(GUEST_TESTS)/%.c.o: tests/guest/%.c tests/guest/rules.mk | deps-build
	@mkdir -p $(@D)
	$(CC) $(GUEST_TEST_CFLAGS) -MMD -MP -c -o $@ $<

$(GUEST_TESTS)/%.S.o: tests/guest/%.S tests/guest/rules.mk | deps-build
	@mkdir -p $(@D)
	$(CC) -g -I. -MMD -MP -c -o $@ $<

$(GUEST_TESTS)/%.elf: $(GUEST_TESTS)/%.c.o $(GUEST_TEST_LIB) tests/guest/guest.lds
	$(GUEST_TEST_LD) -o $@ $(filter-out $(GUEST_MULTIBOOT),$(filter %.o,$^))

$(GUEST_TESTS)/multiboot.elf: $(GUEST_TESTS)/multiboot.c.o $(GUEST_TEST_LIB) tests/guest/guest.lds
	$(GUEST_TEST_LD) -e start_multiboot -o $@ $(filter-out $(GUEST_PVH),$(filter %.o,$^))

# The reference model and the random calls that the host's tests compare the store with.
MODEL_OBJS := $(GUEST_TESTS)/unit/engine.c.o $(GUEST_TESTS)/unit/engine_huge.c.o $(GUEST_TESTS)/unit/model.c.o

$(GUEST_TESTS)/unit/%.c.o: tests/unit/%.c tests/guest/rules.mk | deps-build
	@mkdir -p $(@D)
	$(CC) $(GUEST_TEST_CFLAGS) -MMD -MP -c -o $@ $<

$(GUEST_TESTS)/model.elf: $(MODEL_OBJS)

# The same in the 32-bit format, that of most Multiboot kernels.
$(GUEST_TESTS)/multiboot32.elf: $(GUEST_TESTS)/multiboot.elf
	$(OBJCOPY) -O elf32-i386 $< $@

.SECONDARY: $(MODEL_OBJS) $(GUEST_TEST_LIB) $(GUEST_TEST_ELFS:.elf=.c.o)

-include $(MODEL_OBJS:.o=.d) $(GUEST_TEST_LIB:.o=.d) $(GUEST_TEST_ELFS:.elf=.c.d)
