# SPDX-License-Identifier: BSD-2-Clause
# One line per unit test: the sources that are linked with tests/unit/test_NAME.c.

tmem_sources := tmem/cell.c tmem/client.c tmem/frame.c tmem/index.c tmem/ops.c tmem/page.c tmem/pool.c tmem/store.c
unit_test_tmem := $(tmem_sources) tests/unit/model_host.c
unit_test_tmem_model := $(tmem_sources) tests/unit/model_host.c tests/unit/model.c
unit_test_tmem_threads := $(tmem_sources) tests/unit/model_host.c
unit_test_frames := core/frames.c
unit_test_multiboot2 := boot/multiboot2.c
unit_test_config := core/config.c
unit_test_loader := core/vm/loader.c core/vm/loader_common.c core/vm/bzimage.c core/vm/pvh.c core/vm/memory_map.c core/vm/memory.c
