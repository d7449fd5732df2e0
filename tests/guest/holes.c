/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile: reads and writes all over guest-physical space that is no RAM, in every width, at odd
 * addresses, across pages and across the end of RAM; garbage in every register of its own interrupt
 * controllers; instructions that cross pages. Where nothing is it has to read ones.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define GIB	     0x40000000ull
#define LARGE_PAGE   0x200000ull
#define PAGE	     0x1000ull
#define STEP	     (8 * LARGE_PAGE)
#define MAPPED	     (4 * GIB) /* to itself, by start.S */
#define HOLE_ADDRESS 0xd8000000ull
#define VIRTIO_BASE  0xd0000000ull
#define VIRTIO_END   0xd0010000ull
#define VIRTIO_STEP  64ull
#define IOAPIC_PAGE  0xfec00000ull
#define LAPIC_PAGE   0xfee00000ull
#define LAPIC_ICR    0x300u  /* would start or reset vCPUs: the test "storms" does */
#define PTE_BITS     0x83ull /* present, writable, large */
#define ROOT_ENTRY   1	     /* of page_root: addresses from 512 GiB on */
#define HIGH_BASE    (512 * GIB)
#define HIGH_PAGES   512

#define CPUID_ADDRESS_SIZES 0x80000008

const char test_name[] = "holes";

extern uint64_t page_root[];

static uint64_t high_pointers[512] __attribute__((aligned(4096)));
static uint64_t high_pages[HIGH_PAGES] __attribute__((aligned(4096)));
static uint8_t code[2 * PAGE] __attribute__((aligned(4096)));

#define READ(type, address)                                                                        \
	({                                                                                         \
		type value_;                                                                       \
                                                                                                   \
		__asm__ volatile("mov (%1), %0" : "=r"(value_) : "r"(address) : "memory");         \
		value_;                                                                            \
	})
#define WRITE(type, address, value)                                                                \
	__asm__ volatile("mov %0, (%1)" : : "r"((type)(value)), "r"(address) : "memory")

/* Whether [address, address + 16) is where nothing at all is. */
static bool is_nothing(uint64_t address)
{
	return address >= ram_bytes() && !(address + 16 > VIRTIO_BASE && address < VIRTIO_END) &&
	       !(address + 16 > IOAPIC_PAGE && address < IOAPIC_PAGE + PAGE) &&
	       !(address + 16 > LAPIC_PAGE && address < LAPIC_PAGE + PAGE);
}

static void touch(uint64_t address)
{
	bool nothing = is_nothing(address);
	uint64_t random = test_random();

	WRITE(uint8_t, address, random);
	WRITE(uint16_t, address, random);
	WRITE(uint32_t, address, random);
	WRITE(uint64_t, address, random);
	if (READ(uint8_t, address) != UINT8_MAX && nothing)
		test_failure("8 bits at 0x%lx are not ones", address);
	if (READ(uint16_t, address) != UINT16_MAX && nothing)
		test_failure("16 bits at 0x%lx are not ones", address);
	if (READ(uint32_t, address) != UINT32_MAX && nothing)
		test_failure("32 bits at 0x%lx are not ones", address);
	if (READ(uint64_t, address) != UINT64_MAX && nothing)
		test_failure("64 bits at 0x%lx are not ones", address);
}

static void test_below_4g(void)
{
	static const uint64_t offsets[] = {0, 1, 6, PAGE / 2 + 3, PAGE - 1, PAGE - 3, PAGE - 8};

	for (uint64_t base = ram_bytes(); base < MAPPED; base += STEP)
		for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
			if (base + offsets[i] < LAPIC_PAGE || base > LAPIC_PAGE)
				touch(base + offsets[i]);
	touch(MAPPED - 16);
}

/* The last bytes of RAM and the first behind it in one access. */
static void test_end_of_ram(void)
{
	uint64_t end = ram_bytes();

	for (uint64_t before = 1; before < 8; before++) {
		WRITE(uint64_t, end - before, UINT64_MAX);
		READ(uint64_t, end - before);
		WRITE(uint32_t, end - before, 0);
		READ(uint32_t, end - before);
	}
}

/* Every power of two that an address can have, and the page below it. */
static void test_above_4g(void)
{
	unsigned int bits = cpuid(CPUID_ADDRESS_SIZES, 0).eax & 0xff;
	unsigned int count = 0;

	for (unsigned int bit = 32; bit < bits && count + 2 <= HIGH_PAGES; bit++) {
		high_pages[count++] = 1ull << bit | PTE_BITS;
		high_pages[count++] = ((2ull << bit) - LARGE_PAGE) | PTE_BITS;
	}
	high_pointers[0] = (uint64_t)high_pages | 3;
	page_root[ROOT_ENTRY] = (uint64_t)high_pointers | 3;
	for (unsigned int i = 0; i < count; i++) {
		touch(HIGH_BASE + i * LARGE_PAGE);
		touch(HIGH_BASE + (i + 1) * LARGE_PAGE - 16);
		touch(HIGH_BASE + i * LARGE_PAGE + 5 * PAGE - 3);
	}
}

/* Anything in any register of what emulates interrupt controllers and disks; interrupts are off. */
static void test_garbage(void)
{
	for (uint64_t offset = 0; offset < PAGE - 8; offset += 4) {
		uint64_t odd = offset + test_random() % 4;

		if (odd <= LAPIC_ICR - 8 || odd >= LAPIC_ICR + 0x20)
			touch(LAPIC_PAGE + odd);
	}
	for (uint64_t offset = 0; offset < 0x20; offset++)
		touch(IOAPIC_PAGE + offset);
	for (uint64_t select = 0; select < 256; select++) {
		mmio_write32(IOAPIC_PAGE, (uint32_t)select);
		mmio_write32(IOAPIC_PAGE + 0x10, (uint32_t)test_random());
	}
	for (uint64_t at = VIRTIO_BASE; at < VIRTIO_END; at += VIRTIO_STEP)
		touch(at + test_random() % VIRTIO_STEP);
}

/* mov (%rdi), %rax; ret: with its bytes on two pages. */
static void test_code_across_pages(void)
{
	static const uint8_t load[] = {0x48, 0x8b, 0x07, 0xc3};

	for (size_t before = 1; before < sizeof(load) - 1; before++) {
		uint8_t *at = code + PAGE - before;
		uint64_t (*function)(uint64_t) = (uint64_t(*)(uint64_t))(uintptr_t)at;

		memcpy(at, load, sizeof(load));
		CHECK_EQ(function(HOLE_ADDRESS), UINT64_MAX, "a load by code on two pages");
	}
}

void test_main(void)
{
	test_below_4g();
	test_above_4g();
	test_end_of_ram();
	test_code_across_pages();
	test_garbage();
}
