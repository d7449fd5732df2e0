# SPDX-License-Identifier: BSD-2-Clause
# One line per unit test: the sources that are linked with tests/unit/test_NAME.c.

lz4_sources := arch/x86_64/cpu/lz4.c tests/unit/lz4_host.c
model_host := tests/unit/model_host.c $(lz4_sources)
tmem_sources := $(wildcard tmem/*.c)
unit_test_tmem := $(tmem_sources) $(model_host) tests/unit/model_calls.c
unit_test_tmem_content := $(tmem_sources) $(model_host) tests/unit/model_calls.c
unit_test_tmem_compress := $(unit_test_tmem_content)
unit_test_tmem_grain := $(tmem_sources) $(model_host)
unit_test_tmem_dedup := $(tmem_sources) $(model_host) tests/unit/model_calls.c tests/unit/dedup_calls.c
unit_test_tmem_dedup_group := $(unit_test_tmem_dedup)
unit_test_tmem_compact := $(unit_test_tmem_dedup)
unit_test_tmem_nodes := $(tmem_sources) $(model_host) tests/unit/model_calls.c
unit_test_tmem_parts := $(tmem_sources) $(model_host) tests/unit/model_calls.c
unit_test_tmem_memory := $(tmem_sources) $(model_host) tests/unit/model_calls.c
unit_test_tmem_records := $(tmem_sources) $(model_host) tests/unit/model_calls.c
unit_test_tmem_share := $(tmem_sources) $(model_host) tests/unit/model_calls.c
unit_test_tmem_model := $(tmem_sources) $(model_host) tests/unit/model.c \
			tests/unit/model_check.c tests/unit/stamp.c
unit_test_tmem_threads := $(tmem_sources) $(model_host)
unit_test_tmem_share_threads := $(tmem_sources) $(model_host)
unit_test_hypercall := $(tmem_sources) $(wildcard core/vm/hypercall*.c) $(model_host) tests/unit/model_calls.c
unit_test_balloon := core/vm/balloon.c core/vm/memory.c
unit_test_frames := core/frames.c
unit_test_frames_nodes := core/frames.c
unit_test_multiboot2 := boot/multiboot2.c
unit_test_config := core/config.c core/config_shared.c core/words.c
unit_test_config_shared := core/config_shared.c core/words.c
unit_test_sched :=
unit_test_monitor := core/monitor.c core/monitor_commands.c core/console.c core/words.c
unit_test_monitor_input := core/monitor.c core/console.c
loader_sources := core/vm/loader.c core/vm/loader_common.c core/vm/bzimage.c core/vm/elf.c core/vm/pvh.c core/vm/multiboot1.c core/vm/memory_map.c core/vm/memory.c tests/unit/loader_host.c
unit_test_bzimage := $(loader_sources)
unit_test_pvh := $(loader_sources)
unit_test_multiboot1 := $(loader_sources)

dev_sources := core/dev/ioapic.c core/dev/lapic.c core/dev/lapic_ipi.c core/dev/lapic_regs.c core/dev/lapic_timer.c core/dev/uart.c
virtio_sources := core/dev/virtio_mmio.c core/dev/virtio_queue.c core/dev/virtio_blk.c core/dev/virtio_rng.c
unit_test_virtio_mmio := $(virtio_sources) $(dev_sources) tests/unit/dev_host.c
unit_test_virtio_queue := core/dev/virtio_queue.c
unit_test_virtio_blk := $(virtio_sources) $(dev_sources) tests/unit/dev_host.c
unit_test_virtio_fuzz := $(virtio_sources) $(dev_sources) tests/unit/dev_host.c
unit_test_lapic := $(dev_sources) tests/unit/dev_host.c
unit_test_lapic_direct := $(dev_sources) tests/unit/dev_host.c
unit_test_lapic_timer := $(dev_sources) tests/unit/dev_host.c
unit_test_lapic_smp :=
unit_test_ioapic := core/dev/ioapic.c tests/unit/dev_host.c
unit_test_uart := core/dev/uart.c tests/unit/dev_host.c
unit_test_power := core/dev/power.c $(dev_sources) tests/unit/dev_host.c
unit_test_bus := core/dev/bus.c core/dev/power.c core/dev/testdev.c $(virtio_sources) $(dev_sources) tests/unit/dev_host.c
unit_test_vmacpi := core/vm/acpi.c

svm_sources := arch/x86_64/svm/cr.c arch/x86_64/svm/exits.c arch/x86_64/svm/inject.c arch/x86_64/svm/maps.c arch/x86_64/svm/npt.c arch/x86_64/svm/vmcb.c
unit_test_svm := $(svm_sources) arch/x86_64/vcpu/fetch.c arch/x86_64/vcpu/reset.c
unit_test_svm_exits := $(unit_test_svm)

vcpu_sources := $(addprefix arch/x86_64/vcpu/,cpuid.c cpuid_fix.c cpuid_table.c fpu.c msr.c pvclock.c) \
		tests/unit/cpu_host.c
unit_test_cpuid := $(vcpu_sources)
unit_test_cpuid_xcr0 := $(vcpu_sources)
unit_test_msr := $(vcpu_sources)
unit_test_decode := arch/x86_64/vcpu/decode.c
unit_test_decode_mmio := $(addprefix arch/x86_64/vcpu/,decode.c fetch.c mmio.c walk.c) tests/unit/cpu_host.c
unit_test_string_io := $(addprefix arch/x86_64/vcpu/,fetch.c string_io.c walk.c) tests/unit/cpu_host.c
unit_test_walk := arch/x86_64/vcpu/walk.c tests/unit/cpu_host.c

unit_test_console := core/console.c
unit_test_string :=
unit_test_time :=
unit_test_acpi := arch/x86_64/cpu/acpi.c arch/x86_64/cpu/srat.c
unit_test_srat := arch/x86_64/cpu/srat.c
unit_test_host_ioapic := arch/x86_64/cpu/ioapic.c
unit_test_copy := arch/x86_64/cpu/copy.c
unit_test_lz4 := $(lz4_sources)
unit_test_memmap := arch/x86_64/cpu/memmap.c
unit_test_screen :=
unit_test_mitigations :=

# These include the sources that they test, on a processor of their own: see vmx_host.h.
unit_test_machine_check :=
unit_test_vmx_controls :=
unit_test_vmx_state :=
unit_test_vmx_exits :=

# The store's semantics.
unit_test_tmem_freeze := $(unit_test_tmem_content)
unit_test_tmem_huge := $(unit_test_tmem_content)
unit_test_tmem_huge_cost := $(unit_test_tmem_content)
unit_test_tmem_shared := $(unit_test_tmem_content)
unit_test_tmem_save := $(unit_test_tmem_content) tests/unit/save_host.c
unit_test_tmem_scrub := $(tmem_sources) $(model_host)
engine_sources := tests/unit/engine.c tests/unit/engine_huge.c tests/unit/engine_store.c tests/unit/model.c
unit_test_tmem_engine := $(tmem_sources) $(model_host) $(engine_sources)

# The store's semantics.
unit_test_tmem_freeze := $(unit_test_tmem_content)
unit_test_tmem_shared := $(unit_test_tmem_content)
unit_test_tmem_scrub := $(tmem_sources) $(model_host)
# It includes tmem/frame.c.
unit_test_tmem_failures := $(filter-out tmem/frame.c,$(tmem_sources)) $(model_host) $(engine_sources)
