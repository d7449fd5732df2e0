/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder of device accesses, and their emulation: the instruction is the guest's, which can
 * write another one over it at any time.
 */
#include <string.h>

#include "arch/x86_64/vcpu/decode.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/cpu_host.h"

#define CODE   0x5000ull /* mapped to itself */
#define DEVICE 0xfee000b0ull
#define TOP    0x10000ull
#define PDPT   0x11000ull
#define PD     0x12000ull

#define PTE_LARGE (1u << 7)
#define PTE_RW	  3u

/* Decode what lies in a buffer of just @count bytes. */
static int decode(const uint8_t *data, size_t count, enum insn_mode mode, struct insn *insn)
{
	uint8_t *bytes = malloc(count ? count : 1);
	int ret;

	memcpy(bytes, data, count);
	ret = insn_decode(bytes, count, mode, insn);
	free(bytes);
	return ret;
}

static bool size_good(unsigned int size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

/* What decodes does so whatever follows, and wants more bytes when it is cut. */
static void decode_check(const uint8_t *data, size_t count, enum insn_mode mode)
{
	struct insn insn, again;
	int ret = decode(data, count, mode, &insn);
	size_t cut;

	check(ret == 0 || ret == -EAGAIN || ret == -EINVAL);
	check(ret != -EAGAIN || count < INSN_MAX);
	if (ret)
		return;
	check(insn.op > INSN_NONE && insn.op <= INSN_TEST);
	check(insn.length > 0 && insn.length <= INSN_MAX && insn.length <= count);
	check(size_good(insn.size) && size_good(insn.reg_size) && insn.reg < GPR_COUNT);
	check(decode(data, insn.length, mode, &again) == 0 && again.length == insn.length);
	for (cut = 0; cut < insn.length; cut++)
		check(decode(data, cut, mode, &again) == -EAGAIN);
}

static void put64(gpa_t gpa, uint64_t value)
{
	memcpy(host_ram(gpa), &value, sizeof(value));
}

/* 64-bit code, 2 MiB mapped one to one. */
static void machine_make(void)
{
	host_reset(1);
	put64(TOP, PDPT | PTE_RW);
	put64(PDPT, PD | PTE_RW);
	put64(PD, PTE_LARGE | PTE_RW);
}

static void emulate_check(const uint8_t *data, size_t count)
{
	static bool ready;
	int ret;

	if (!ready)
		machine_make();
	ready = true;
	memset(&host.state, 0, sizeof(host.state));
	host.state.cr0 = CR0_PE | CR0_PG;
	host.state.cr3 = TOP;
	host.state.cr4 = CR4_PAE;
	host.state.efer = EFER_LME | EFER_LMA;
	host.state.rip = CODE;
	host.state.rflags = RFLAGS_RESERVED;
	host.state.seg[SEG_CS].attr = SEGMENT_ATTR_CODE64;
	host.bus_value = 0x8899aabbccddeeff;
	host.accesses = 0;
	host_vcpu.exit.kind = EXIT_MMIO;
	host_vcpu.exit.mmio.gpa = DEVICE;
	memset(host_ram(CODE), 0x90, INSN_MAX);
	memcpy(host_ram(CODE), data, count < INSN_MAX ? count : INSN_MAX);
	ret = mmio_emulate(&host_vcpu);
	check(ret == -EINVAL || (ret >= 0 && ret <= (int)INSN_MAX));
	check(host.accesses <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum insn_mode modes[] = {INSN_MODE_16, INSN_MODE_32, INSN_MODE_64};
	unsigned int i;

	if (size > INSN_MAX + 1)
		size = INSN_MAX + 1;
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		decode_check(data, size, modes[i]);
	emulate_check(data, size);
	return 0;
}
