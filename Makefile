# SPDX-License-Identifier: BSD-2-Clause
# Tidepool's build. `make help` lists the targets. Everything made goes to build/.

BUILD := build
# make V=1 shows each command in full.
say = @$(if $(V),,printf '  %-7s %s\n' $(1) $(2);)
Q  := $(if $(V),,@)
CC    ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
LD      := ld
OBJCOPY := objcopy
PYTHON  := /usr/bin/python3
PYTEST  := $(PYTHON) -m pytest
IASL    := iasl
HV      := $(BUILD)/hv
ELF     := $(BUILD)/tidepool.elf

.PHONY: all
all: deps-build $(ELF) guest-images guest-tests

# ---- dependencies: Debian packages, installed when missing -------------------------------------

.PHONY: deps-build deps-run deps-test deps-soak deps-bench
deps-build deps-run deps-test deps-soak deps-bench: deps-%:
	@tools/deps.sh $*

# ---- the hypervisor -----------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wconversion \
	    -Wvla -Wcast-qual -Wundef
CPPFLAGS := -I. -Iinclude -I$(HV)
CFLAGS   := -std=gnu11 -O2 -g -ffreestanding -fno-pie -fno-common -mcmodel=kernel -mno-red-zone \
	    -mgeneral-regs-only -fno-jump-tables -fno-omit-frame-pointer -fno-asynchronous-unwind-tables \
	    -fstack-protector-strong -mstack-protector-guard=global $(WARNINGS)
ASFLAGS  := -D__ASSEMBLY__ -g
LDFLAGS  := -nostdlib -static -z max-page-size=4096 --no-warn-rwx-segments --build-id=none

HV_DIRS := boot arch/x86_64 arch/x86_64/cpu arch/x86_64/vcpu arch/x86_64/vmx arch/x86_64/svm core \
	   core/dev core/vm tmem
HV_C    := $(filter-out arch/x86_64/asm_offsets.c,$(wildcard $(addsuffix /*.c,$(HV_DIRS))))
HV_S    := $(wildcard $(addsuffix /*.S,$(HV_DIRS)))
HV_OBJS := $(HV_C:%.c=$(HV)/%.o) $(HV_S:%.S=$(HV)/%.S.o) $(HV)/font.o

# The one library in the image, out of Debian's liblz4-dev: arch/x86_64/cpu/lz4.c says what it needs.
LZ4 := $(shell $(CC) -print-file-name=liblz4.a)

# Offsets of C structs for assembly, read out of the compiler's own output.
$(HV)/asm_offsets.h: arch/x86_64/asm_offsets.c
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MF $(HV)/asm_offsets.d -MT $@ -S -o $(HV)/asm_offsets.s $<
	$(Q)sed -n 's/^.*"->\([A-Z0-9_]*\) [$$]\([-0-9]*\)".*/#define \1 \2/p' $(HV)/asm_offsets.s > $@

# The guests' ACPI differentiated description table.
$(HV)/dsdt.aml: core/vm/dsdt.asl
	@mkdir -p $(@D)
	$(call say,IASL,$<)
	$(Q)$(IASL) -vs -p $(HV)/dsdt $< > $(HV)/dsdt.log 2>&1 || { cat $(HV)/dsdt.log; exit 1; }

$(HV)/%.o: %.c | $(HV)/asm_offsets.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(HV)/%.S.o: %.S $(HV)/asm_offsets.h
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(CPPFLAGS) $(ASFLAGS) -MMD -MP -c -o $@ $<

$(HV)/core/vm/dsdt.S.o: $(HV)/dsdt.aml

# The font of the screen console.
$(HV)/font.o: tools/gen_font.py
	@mkdir -p $(@D)
	$(PYTHON) tools/gen_font.py > $(HV)/font.S
	$(CC) -c -o $@ $(HV)/font.S

# Linked twice: the first image's symbols become the table that backtraces are printed from.
$(HV)/symbols0.o: tools/gen_symbols.py
	$(Q)$(PYTHON) tools/gen_symbols.py < /dev/null > $(HV)/symbols0.S
	$(Q)$(CC) -c -o $@ $(HV)/symbols0.S

$(ELF): linker.ld $(HV_OBJS) $(HV)/symbols0.o tools/gen_symbols.py
	$(call say,LD,$@)
	$(Q)$(LD) $(LDFLAGS) -T linker.ld -o $(HV)/pass1.elf $(HV_OBJS) $(HV)/symbols0.o $(LZ4)
	$(Q)nm -n $(HV)/pass1.elf | $(PYTHON) tools/gen_symbols.py > $(HV)/symbols.S
	$(Q)$(CC) -c -o $(HV)/symbols.o $(HV)/symbols.S
	$(Q)$(LD) $(LDFLAGS) -T linker.ld -o $@ $(HV_OBJS) $(HV)/symbols.o $(LZ4)

-include $(HV)/asm_offsets.d $(HV_OBJS:.o=.d)

# ---- guests: the Linux driver with its images, the tiny test guests -----------------------------

-include guest/linux-pv/rules.mk
-include tests/guest/rules.mk

# ---- tests --------------------------------------------------------------------------------------

UNIT        := $(BUILD)/unit
UNIT_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -Werror -Wconversion -Wshadow \
	       -fsanitize=address,undefined -fno-sanitize-recover=all -I. -Iinclude -DHOST_TEST
# $(call depend,CC,SOURCES): the headers of all sources that are compiled at once. By -MMD each
# source's list would take the place of the one before.
depend = $(Q)$(1) -MM -MP -MT $@ $(2) > $@.d
include tests/unit/units.mk
UNIT_NAMES := $(patsubst unit_test_%,%,$(filter unit_test_%,$(.VARIABLES)))
UNIT_TESTS := $(UNIT_NAMES:%=$(UNIT)/test_%)

# A source is compiled once for all tests that it is linked with.
unit_objects = $(patsubst %.c,$(UNIT)/obj/%.o,tests/unit/test_$(1).c $(unit_test_$(1)))

.PRECIOUS: $(UNIT)/obj/%.o
$(UNIT)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,UNIT,$<)
	$(Q)$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

.SECONDEXPANSION:
$(UNIT)/test_%: $$(call unit_objects,$$*) tests/unit/units.mk
	$(Q)$(CC) $(UNIT_CFLAGS) -o $@ $(filter %.o,$^) -lcmocka -lpthread $(LZ4)

-include $(sort $(foreach name,$(UNIT_NAMES),$(patsubst %.o,%.d,$(call unit_objects,$(name)))))

.PHONY: test test-unit test-boot test-svm test-vmx unit-tests soak
unit-tests: deps-build $(UNIT_TESTS) $(UNIT)/tsan_tmem_threads $(UNIT)/long_tmem_model

# All of it, with one closing line; .ci/run calls this. What is to be built is built on all cores, as
# soon as the compilers are there.
test: deps-build deps-run deps-test deps-fuzz
	+@$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc)) \
		all unit-tests fuzz-smoke-programs
	$(PYTHON) tools/run_tests.py lint unit threads fuzz boot

test-unit: deps-test unit-tests
	$(PYTHON) tools/run_tests.py unit threads

test-boot: all deps-run deps-test
	$(PYTHON) tools/run_tests.py boot

# Debian's generic kernels, which are large to fetch, and both releases.
.PHONY: test-kernels
test-kernels: all deps-run deps-test $(foreach kernel,$(other_kernels),\
	      $(BUILD)/guest/kernel-$(kernel)/version $(BUILD)/guest/initrd-$(kernel).img)
	$(PYTEST) -q -p no:cacheprovider tests/boot/kernels.py

# Guests' clocks over a minute of their time.
.PHONY: test-clock
test-clock: all deps-run deps-test
	$(PYTEST) -q -p no:cacheprovider tests/boot/clock.py

# The same scenarios on one backend only: SVM in QEMU, VMX in Bochs.
test-svm test-vmx: test-%: all deps-run deps-test
	$(PYTHON) tools/run_tests.py boot -k $*

# One tiny boot on every processor model that the emulators have.
.PHONY: test-models
test-models: all deps-run deps-test
	$(PYTHON) tools/run_tests.py boot --all-models -k test_models

-include tests/unit/checks.mk
-include tests/fuzz/rules.mk

# ---- figures ------------------------------------------------------------------------------------

-include tests/bench/rules.mk

# The host's part, the page store alone, then what the exit path costs in the emulators.
.PHONY: bench bench-store
bench: all deps-run deps-test bench-store
	@$(PYTHON) tests/bench/exits.py

# The page cache of a Linux guest, in QEMU; a quarter of an hour.
.PHONY: bench-linux
bench-linux: all deps-run deps-test deps-bench
	@$(PYTHON) tests/bench/linux.py

# The boot tests of the page cache over and over with longer runs, and on both backends.
.PHONY: soak-linux
soak-linux: all deps-run deps-test deps-soak
	$(PYTEST) -q -p no:cacheprovider tests/boot/soak_linux.py

bench-store: deps-build $(BENCH)/store
	@$(BENCH)/store

# ---- run it -------------------------------------------------------------------------------------

.PHONY: run iso
iso: all deps-run
	$(PYTHON) tools/run.py --iso-only

# Two Debian guests that swap into the store: nested KVM where this machine has it, else QEMU's TCG
# with SVM; `make run ENGINE=bochs` for VMX.
run: all deps-run
	$(PYTHON) tools/run.py $(if $(ENGINE),--engine $(ENGINE))

# ---- order --------------------------------------------------------------------------------------

SOURCES_C := $(shell git ls-files '*.c' '*.h' 2>/dev/null)
HEADERS   := $(filter %.h,$(shell git ls-files boot arch core tmem include 2>/dev/null))

.PHONY: lint format
lint: deps-build $(HV)/asm_offsets.h
	@tools/lint.sh $(CC)

format:
	clang-format -i $(filter-out guest/%,$(SOURCES_C))

.PHONY: clean distclean help
# Leaves what was fetched from Debian; distclean does not.
clean:
	rm -rf $(HV) $(UNIT) $(ELF) $(BUILD)/tests $(BUILD)/*.iso
	rm -rf $(filter-out %/kernel %/kernel-6.12 %/kernel-generic %/kernel-generic-6.12,$(wildcard $(BUILD)/guest/*))

distclean:
	rm -rf $(BUILD)

help:
	@echo 'make            the hypervisor (build/tidepool.elf), the Linux driver, guest images'
	@echo 'make run        boot two Debian guests that swap into the store (ENGINE=qemu|bochs|kvm)'
	@echo 'make iso        the same as build/tidepool.iso, for a real machine'
	@echo 'make test       everything; test-unit, test-boot, test-svm, test-vmx: a part'
	@echo 'make test-models  a tiny boot on every processor model of the emulators'
	@echo 'make coverage   line coverage of the store; test-threads: under ThreadSanitizer'
	@echo 'make fuzz       libFuzzer on store, parsers, loaders, decoder; FUZZ_SECONDS=60 each'
	@echo 'make soak       the random tests for SOAK_SECONDS=600, then fuzz'
	@echo 'make test-kernels  the other kernels of Debian as guests, with the driver; fetches them first'
	@echo "make test-clock  guests' clocks over a minute, against the emulators'"
	@echo 'make deb        the Linux driver with its tools as a Debian package'
	@echo 'make bench      the figures, one "name value unit" a line'
	@echo 'make bench-linux  what the page cache in the store saves a Linux guest; 15 minutes'
	@echo 'make soak-linux  the page cache under random changes of files, for longer, both backends'
	@echo 'make bench-store the figures of the page store alone, on this machine; a minute'
	@echo 'make lint       formatting, headers, licences, clang; make format mends the first'
	@echo 'make clean      remove what was built; distclean: also what was fetched'
