/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor as a guest may see it: what is hidden stays hidden, what is not allowed raises the
 * exception that the manuals name, and nothing that ring 0 can do to its own control registers or
 * model-specific registers disturbs more than that.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define CPUID_1_ECX_MONITOR    (1u << 3)
#define CPUID_1_ECX_VMX	       (1u << 5)
#define CPUID_1_ECX_XSAVE      (1u << 26)
#define CPUID_1_ECX_OSXSAVE    (1u << 27)
#define CPUID_1_ECX_HYPERVISOR (1u << 31)
#define CPUID_80000001_ECX_SVM (1u << 2)
#define CPUID_EXTENDED	       0x80000000u

#define CR0_PE	    (1ull << 0)
#define CR0_WP	    (1ull << 16)
#define CR0_NW	    (1ull << 29)
#define CR0_CD	    (1ull << 30)
#define CR4_TSD	    (1ull << 2)
#define CR4_PAE	    (1ull << 5)
#define CR4_VMXE    (1ull << 13)
#define CR4_OSXSAVE (1ull << 18)

#define MSR_TSC	      0x10
#define MSR_PAT	      0x277
#define MSR_EFER      0xc0000080
#define MSR_KERNEL_GS 0xc0000102
#define MSR_LSTAR     0xc0000082
#define EFER_LME      (1ull << 8)
#define EFER_SVME     (1ull << 12)
#define NON_CANONICAL 0x8000000000000000ull

#define DEVICE_HOLE 0xd8000000ull /* no device is there, and no RAM */
#define FREE_PORT   0x2000

const char test_name[] = "cpu";

#define READ_CR(n)                                                                                 \
	static uint64_t read_cr##n(void)                                                           \
	{                                                                                          \
		uint64_t value;                                                                    \
                                                                                                   \
		__asm__ volatile("movq %%cr" #n ", %0" : "=r"(value));                             \
		return value;                                                                      \
	}

/* Returns the exception, or NO_VECTOR. */
#define WRITE_CR(n)                                                                                \
	static int write_cr##n(uint64_t value)                                                     \
	{                                                                                          \
		trap_vector = NO_VECTOR;                                                           \
		__asm__ volatile(FIXUP("movq %0, %%cr" #n) : : "r"(value) : "memory");             \
		return trap_vector;                                                                \
	}

READ_CR(0)
WRITE_CR(0)
READ_CR(4)
WRITE_CR(4)
READ_CR(8)
WRITE_CR(8)

static void test_cpuid(void)
{
	struct cpuid_regs one = cpuid(1, 0);

	CHECK(one.ecx & CPUID_1_ECX_HYPERVISOR, "CPUID hides that there is a hypervisor");
	CHECK(!(one.ecx & CPUID_1_ECX_VMX), "CPUID offers VMX");
	CHECK(!(one.ecx & CPUID_1_ECX_MONITOR), "CPUID offers MONITOR");
	CHECK(!(cpuid(CPUID_EXTENDED + 1, 0).ecx & CPUID_80000001_ECX_SVM), "CPUID offers SVM");
	CHECK(cpuid(0, 0).eax >= 1, "CPUID has no leaf 1");

	/* Any leaf is answered; the upper halves of the registers are cleared. */
	for (uint32_t leaf = 0; leaf < 0x40; leaf++) {
		for (uint32_t subleaf = 0; subleaf < 4; subleaf++) {
			cpuid(leaf, subleaf);
			cpuid(CPUID_EXTENDED + leaf, subleaf);
		}
	}
	cpuid(UINT32_MAX, UINT32_MAX);
}

/* The instructions of both vendors' virtualisation, and others that are not offered. */
#define UNDEFINED(name, insn, ...)                                                                 \
	do {                                                                                       \
		trap_vector = NO_VECTOR;                                                           \
		__asm__ volatile(FIXUP(insn) : : __VA_ARGS__ : "memory");                          \
		CHECK_EQ(trap_vector, VECTOR_UD, "exception of " name);                            \
	} while (0)

static void test_instructions(void)
{
	static uint64_t operand[2] __attribute__((aligned(4096)));
	uint64_t *pointer = operand;

	UNDEFINED("VMXON", "vmxon %0", "m"(operand[0]));
	UNDEFINED("VMPTRLD", "vmptrld %0", "m"(operand[0]));
	UNDEFINED("VMCLEAR", "vmclear %0", "m"(operand[0]));
	UNDEFINED("VMREAD", "vmread %%rax, %%rax", "a"(0));
	UNDEFINED("VMWRITE", "vmwrite %%rax, %%rax", "a"(0));
	UNDEFINED("VMLAUNCH", "vmlaunch", "a"(0));
	UNDEFINED("VMRESUME", "vmresume", "a"(0));
	UNDEFINED("VMXOFF", "vmxoff", "a"(0));
	UNDEFINED("INVEPT", "invept (%0), %1", "r"(pointer), "r"(1ull));
	UNDEFINED("INVVPID", "invvpid (%0), %1", "r"(pointer), "r"(1ull));
	UNDEFINED("VMRUN", "vmrun", "a"(pointer));
	UNDEFINED("VMLOAD", "vmload", "a"(pointer));
	UNDEFINED("VMSAVE", "vmsave", "a"(pointer));
	UNDEFINED("STGI", "stgi", "a"(0));
	UNDEFINED("CLGI", "clgi", "a"(0));
	UNDEFINED("INVLPGA", "invlpga", "a"(0), "c"(0));
	UNDEFINED("MONITOR", "monitor", "a"(pointer), "c"(0), "d"(0));
	UNDEFINED("MWAIT", "mwait", "a"(0), "c"(0));
	UNDEFINED("UD2", "ud2", "a"(0));
	UNDEFINED("RDPMC", "rdpmc", "c"(0));
	UNDEFINED("RSM", "rsm", "a"(0));
	UNDEFINED("SKINIT", ".byte 0x0f, 0x01, 0xde", "a"(0)); /* its argument is EAX alone */
	UNDEFINED("VMFUNC", ".byte 0x0f, 0x01, 0xd4", "a"(0), "c"(0));
	UNDEFINED("GETSEC", ".byte 0x0f, 0x37", "a"(0));
	UNDEFINED("ENCLS", ".byte 0x0f, 0x01, 0xcf", "a"(0));
	UNDEFINED("PCONFIG", ".byte 0x0f, 0x01, 0xc5", "a"(0));
	UNDEFINED("RDPRU", ".byte 0x0f, 0x01, 0xfd", "c"(0));
	UNDEFINED("TLBSYNC", ".byte 0x0f, 0x01, 0xff", "a"(0));
	UNDEFINED("VMPTRST", "vmptrst %0", "m"(operand[0]));
	if (cpu_is_amd())
		UNDEFINED("VMCALL", "vmcall", "a"(0));
	else
		UNDEFINED("VMMCALL", "vmmcall", "a"(0));
}

#define FROM_USER(insn, ...)                                                                       \
	do {                                                                                       \
		trap_vector = NO_VECTOR;                                                           \
		__asm__ volatile(FIXUP(insn) : : __VA_ARGS__ : "memory");                          \
		wrong += trap_vector != VECTOR_UD && trap_vector != VECTOR_GP;                     \
	} while (0)

static uint64_t run_privileged(void *pointer)
{
	uint64_t wrong = 0;

	FROM_USER("vmxon (%0)", "r"(pointer));
	FROM_USER("vmptrld (%0)", "r"(pointer));
	FROM_USER("vmread %%rax, %%rax", "a"(0));
	FROM_USER("vmlaunch", "a"(0));
	FROM_USER("vmxoff", "a"(0));
	FROM_USER("invept (%0), %1", "r"(pointer), "r"(1ull));
	FROM_USER("vmrun", "a"(pointer));
	FROM_USER("vmload", "a"(pointer));
	FROM_USER("stgi", "a"(0));
	FROM_USER("clgi", "a"(0));
	FROM_USER("wbinvd", "a"(0));
	FROM_USER("hlt", "a"(0));
	FROM_USER("xsetbv", "a"(1), "c"(0), "d"(0));
	FROM_USER("rdmsr", "a"(1), "c"(0x10), "d"(0));
	FROM_USER("rdpmc", "c"(0));
	FROM_USER("inb $0x80, %%al", "a"(0));
	return wrong;
}

static void test_ring_3(void)
{
	static uint64_t operand[2] __attribute__((aligned(4096)));

	CHECK_EQ(user_run(run_privileged, operand), 0, "instructions that ring 3 may use");
}

/*
 * SVM leaves it to the processor to check a guest's CR0: nothing of ours would be tested there, and
 * neither QEMU nor Bochs makes these checks (Bochs ends, instead).
 */
static void test_refused_cr0(void)
{
	uint64_t cr0 = read_cr0();

	CHECK_EQ(write_cr0(cr0 | 1ull << 40), VECTOR_GP, "CR0 with a reserved bit");
	CHECK_EQ(write_cr0(cr0 & ~CR0_PE), VECTOR_GP, "CR0 with PG but not PE");
	CHECK_EQ(write_cr0((cr0 | CR0_NW) & ~CR0_CD), VECTOR_GP, "CR0 with NW but not CD");
	CHECK_EQ(read_cr0(), cr0, "CR0 behind refused writes");
}

static void test_refused_cr4(void)
{
	uint64_t cr4 = read_cr4();

	CHECK_EQ(write_cr4(cr4 | CR4_VMXE), VECTOR_GP, "CR4 with VMXE");
	CHECK_EQ(write_cr4(cr4 | 1ull << 30), VECTOR_GP, "CR4 with a reserved bit");
	CHECK_EQ(write_cr4(cr4 | 1ull << 63), VECTOR_GP, "CR4 with the highest bit");
	CHECK_EQ(write_cr4(cr4 & ~CR4_PAE), VECTOR_GP, "CR4 without PAE in long mode");
	CHECK_EQ(read_cr4(), cr4, "CR4 behind refused writes");
}

static void test_control_registers(void)
{
	uint64_t cr0 = read_cr0(), cr4 = read_cr4();

	CHECK(!(cr4 & CR4_VMXE), "CR4.VMXE shows");
	CHECK_EQ(write_cr0(cr0 ^ CR0_WP), NO_VECTOR, "CR0 with WP changed");
	CHECK_EQ(read_cr0(), cr0 ^ CR0_WP, "CR0 with WP changed");
	CHECK_EQ(write_cr0(cr0), NO_VECTOR, "CR0 as before");
	CHECK_EQ(read_cr0(), cr0, "CR0 as before");
	CHECK_EQ(write_cr4(cr4 | CR4_TSD), NO_VECTOR, "CR4 with TSD");
	CHECK_EQ(read_cr4(), cr4 | CR4_TSD, "CR4 with TSD");
	CHECK_EQ(write_cr4(cr4), NO_VECTOR, "CR4 as before");
	test_refused_cr4();
	if (!cpu_is_amd())
		test_refused_cr0();
}

static void test_cr8(void)
{
	for (uint64_t priority = 0; priority < 16; priority++) {
		CHECK_EQ(write_cr8(priority), NO_VECTOR, "write of CR8");
		CHECK_EQ(read_cr8(), priority, "CR8");
	}
	CHECK_EQ(write_cr8(16), VECTOR_GP, "CR8 with a reserved bit");
	CHECK_EQ(write_cr8(0), NO_VECTOR, "CR8 of 0");
}

static int xsetbv(uint32_t number, uint64_t value)
{
	trap_vector = NO_VECTOR;
	__asm__ volatile(FIXUP("xsetbv")
			 :
			 : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
	return trap_vector;
}

static void test_xcr0(void)
{
	uint64_t cr4 = read_cr4();
	struct cpuid_regs offered = cpuid(0xd, 0);
	uint64_t all = (uint64_t)offered.edx << 32 | offered.eax;

	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE)) {
		CHECK_EQ(write_cr4(cr4 | CR4_OSXSAVE), VECTOR_GP, "CR4 with OSXSAVE, not offered");
		return;
	}
	CHECK_EQ(xsetbv(0, 1), VECTOR_UD, "XSETBV without CR4.OSXSAVE");
	CHECK_EQ(write_cr4(cr4 | CR4_OSXSAVE), NO_VECTOR, "CR4 with OSXSAVE");
	CHECK(cpuid(1, 0).ecx & CPUID_1_ECX_OSXSAVE, "CPUID does not show CR4.OSXSAVE");
	CHECK_EQ(xsetbv(0, 0), VECTOR_GP, "XCR0 without x87");
	CHECK_EQ(xsetbv(0, 1 | 4), VECTOR_GP, "XCR0 with AVX but not SSE");
	CHECK_EQ(xsetbv(0, 1ull << 63 | 1), VECTOR_GP, "XCR0 with the highest bit");
	CHECK_EQ(xsetbv(1, 1), VECTOR_GP, "XCR1");
	for (unsigned int bit = 0; bit < 63; bit++) {
		if (!(all & 1ull << bit))
			CHECK_EQ(xsetbv(0, all | 1ull << bit), VECTOR_GP,
				 "XCR0 with a part that CPUID does not offer");
	}
	CHECK_EQ(xsetbv(0, all), NO_VECTOR, "XCR0 with all that CPUID offers");
	CHECK_EQ(xsetbv(0, 1), NO_VECTOR, "XCR0 of x87 only");
	CHECK_EQ(write_cr4(cr4), NO_VECTOR, "CR4 without OSXSAVE");
	CHECK(!(cpuid(1, 0).ecx & CPUID_1_ECX_OSXSAVE), "CPUID shows OSXSAVE, which is off");
}

/* Registers that belong to the machine, not to a guest. */
static void test_hidden_msrs(void)
{
	static const uint32_t hidden[] = {
		0x0079,	    /* BIOS_UPDT_TRIG: microcode, write only */
		0x009e,	    /* SMBASE */
		0x00c1,	    /* first performance counter */
		0x0480,	    /* VMX_BASIC */
		0x048b,	    /* VMX_PROCBASED_CTLS2 */
		0x0560,	    /* RTIT_OUTPUT_BASE: processor trace writes to host memory */
		0x0600,	    /* DS_AREA: so does the debug store */
		0xc0010117, /* VM_HSAVE_PA */
		0xc0010010 + 0x100000,
		0x12345678,
		UINT32_MAX,
	};
	uint64_t value;

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (rdmsr_safe(hidden[i], &value) != VECTOR_GP)
			test_failure("MSR 0x%x can be read", hidden[i]);
		if (wrmsr_safe(hidden[i], 0) != VECTOR_GP)
			test_failure("MSR 0x%x can be written", hidden[i]);
	}
}

static void test_msr_values(void)
{
	uint64_t efer, value;

	CHECK_EQ(rdmsr_safe(MSR_EFER, &efer), NO_VECTOR, "read of EFER");
	CHECK(!(efer & EFER_SVME), "EFER.SVME shows");
	CHECK_EQ(wrmsr_safe(MSR_EFER, efer | EFER_SVME), VECTOR_GP, "EFER with SVME");
	CHECK_EQ(wrmsr_safe(MSR_EFER, efer | 1ull << 40), VECTOR_GP, "EFER with a reserved bit");
	CHECK_EQ(wrmsr_safe(MSR_EFER, efer & ~EFER_LME), VECTOR_GP, "EFER without LME in use");
	CHECK_EQ(wrmsr_safe(MSR_EFER, efer), NO_VECTOR, "EFER as it is");
	CHECK_EQ(wrmsr_safe(MSR_PAT, 2), VECTOR_GP, "PAT with an impossible type");
	if (!cpu_is_amd()) { /* where the processor checks: QEMU's does not */
		CHECK_EQ(wrmsr_safe(MSR_LSTAR, NON_CANONICAL), VECTOR_GP, "non-canonical LSTAR");
		CHECK_EQ(wrmsr_safe(MSR_KERNEL_GS, NON_CANONICAL), VECTOR_GP,
			 "non-canonical kernel GS");
	}
	CHECK_EQ(wrmsr_safe(MSR_KERNEL_GS, 0x123456789000), NO_VECTOR, "kernel GS");
	CHECK_EQ(rdmsr_safe(MSR_KERNEL_GS, &value), NO_VECTOR, "kernel GS");
	CHECK_EQ(value, 0x123456789000, "kernel GS");
}

/* Every number of the usual ranges: an answer or #GP; what can be read can be written back or not.
 */
static void test_all_msrs(void)
{
	static const struct {
		uint32_t first, count;
	} ranges[] = {{0, 0x1000}, {0xc0000000, 0x200}, {0xc0010000, 0x200}, {0x4b564d00, 0x10}};

	for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
		for (uint32_t i = 0; i < ranges[r].count; i++) {
			uint32_t msr = ranges[r].first + i;
			uint64_t value;
			int vector = rdmsr_safe(msr, &value);

			if (vector != NO_VECTOR && vector != VECTOR_GP)
				test_failure("RDMSR 0x%x: exception %d", msr, vector);
			if (vector != NO_VECTOR || msr == MSR_TSC)
				continue;
			vector = wrmsr_safe(msr, value);
			if (vector != NO_VECTOR && vector != VECTOR_GP)
				test_failure("WRMSR 0x%x: exception %d", msr, vector);
		}
	}
}

/* As on a PC: all ones where nothing is. The caches are the host's. */
static void test_nothing_there(void)
{
	CHECK_EQ(in8(FREE_PORT), 0xff, "port where no device is");
	out8(FREE_PORT, 0);
	CHECK_EQ(mmio_read32(DEVICE_HOLE), UINT32_MAX, "memory where no device is");
	mmio_write32(DEVICE_HOLE, 0);
	CHECK_EQ(mmio_read32(DEVICE_HOLE), UINT32_MAX, "memory where no device is, written");
	__asm__ volatile("wbinvd" : : : "memory");
	__asm__ volatile("invd" : : : "memory");
}

void test_main(void)
{
	test_cpuid();
	test_instructions();
	test_ring_3();
	test_control_registers();
	test_cr8();
	test_xcr0();
	test_hidden_msrs();
	test_msr_values();
	test_all_msrs();
	test_nothing_there();
}
