/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single instructions as inline functions, and the names of the bits that they move
 *
 * Every function here is one instruction (or the few that belong together) and may be used in any
 * context at the hypervisor's privilege level. What faults is said so.
 */
#ifndef ARCH_CPU_CPU_H
#define ARCH_CPU_CPU_H

#include "arch/x86_64/cpu/msr.h"
#include "core/types.h"

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

/* What the hypervisor runs with: paging, write protection, native x87 errors; caches on, TS off. */
#define CR0_HOST (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG)

#define CR3_PCID_MASK 0xfffull
#define CR3_NO_FLUSH  BIT(63)

#define CR4_VME	       BIT(0)
#define CR4_PVI	       BIT(1)
#define CR4_TSD	       BIT(2)
#define CR4_DE	       BIT(3)
#define CR4_PSE	       BIT(4)
#define CR4_PAE	       BIT(5)
#define CR4_MCE	       BIT(6)
#define CR4_PGE	       BIT(7)
#define CR4_PCE	       BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE	       BIT(22)
#define CR4_CET	       BIT(23)
#define CR4_PKS	       BIT(24)

#define RFLAGS_CF	BIT(0)
#define RFLAGS_RESERVED BIT(1) /* always one */
#define RFLAGS_PF	BIT(2)
#define RFLAGS_AF	BIT(4)
#define RFLAGS_ZF	BIT(6)
#define RFLAGS_SF	BIT(7)
#define RFLAGS_TF	BIT(8)
#define RFLAGS_IF	BIT(9)
#define RFLAGS_DF	BIT(10)
#define RFLAGS_OF	BIT(11)
#define RFLAGS_IOPL	(3ull << 12)
#define RFLAGS_NT	BIT(14)
#define RFLAGS_RF	BIT(16)
#define RFLAGS_VM	BIT(17)
#define RFLAGS_AC	BIT(18)
#define RFLAGS_VIF	BIT(19)
#define RFLAGS_VIP	BIT(20)
#define RFLAGS_ID	BIT(21)

#define XCR0_X87       BIT(0)
#define XCR0_SSE       BIT(1)
#define XCR0_AVX       BIT(2)
#define XCR0_BNDREGS   BIT(3)
#define XCR0_BNDCSR    BIT(4)
#define XCR0_OPMASK    BIT(5)
#define XCR0_ZMM_HI256 BIT(6)
#define XCR0_HI16_ZMM  BIT(7)
#define XCR0_PKRU      BIT(9)
#define XCR0_TILECFG   BIT(17)
#define XCR0_TILEDATA  BIT(18)

/* CPUID bits that the host platform itself looks at. */
#define CPUID_1_ECX_X2APIC		 BIT(21)
#define CPUID_1_ECX_TSC_DEADLINE	 BIT(24)
#define CPUID_1_ECX_AES			 BIT(25)
#define CPUID_1_ECX_XSAVE		 BIT(26)
#define CPUID_1_ECX_RDRAND		 BIT(30)
#define CPUID_1_ECX_HYPERVISOR		 BIT(31)
#define CPUID_1_EDX_APIC		 BIT(9)
#define CPUID_7_EBX_SMEP		 BIT(7)
#define CPUID_7_EBX_SMAP		 BIT(20)
#define CPUID_7_ECX_UMIP		 BIT(2)
#define CPUID_80000001_EDX_NX		 BIT(20)
#define CPUID_80000001_EDX_PAGE1G	 BIT(26)
#define CPUID_80000001_EDX_LM		 BIT(29)
#define CPUID_80000007_EDX_INVARIANT_TSC BIT(8)

/* Vectors that the processor itself raises (SDM vol. 3A, table 6-1). */
#define VECTOR_DE  0u  /* divide error */
#define VECTOR_DB  1u  /* debug */
#define VECTOR_NMI 2u  /* non-maskable interrupt */
#define VECTOR_BP  3u  /* breakpoint */
#define VECTOR_OF  4u  /* overflow */
#define VECTOR_BR  5u  /* bound range */
#define VECTOR_UD  6u  /* undefined instruction */
#define VECTOR_NM  7u  /* no x87 device */
#define VECTOR_DF  8u  /* double fault */
#define VECTOR_TS  10u /* invalid TSS */
#define VECTOR_NP  11u /* segment not present */
#define VECTOR_SS  12u /* stack segment */
#define VECTOR_GP  13u /* general protection */
#define VECTOR_PF  14u /* page fault */
#define VECTOR_MF  16u /* x87 error */
#define VECTOR_AC  17u /* alignment check */
#define VECTOR_MC  18u /* machine check */
#define VECTOR_XM  19u /* SIMD error */
#define VECTOR_VE  20u /* virtualisation exception */
#define VECTOR_CP  21u /* control protection */
#define VECTOR_SX  30u /* AMD: security exception */

/* Error code of a page fault. */
#define PF_PRESENT  BIT(0)
#define PF_WRITE    BIT(1)
#define PF_USER	    BIT(2)
#define PF_RESERVED BIT(3)
#define PF_FETCH    BIT(4)

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline uint32_t cpuid_eax(uint32_t leaf, uint32_t subleaf)
{
	return cpuid(leaf, subleaf).eax;
}

static inline uint32_t cpuid_ebx(uint32_t leaf, uint32_t subleaf)
{
	return cpuid(leaf, subleaf).ebx;
}

static inline uint32_t cpuid_ecx(uint32_t leaf, uint32_t subleaf)
{
	return cpuid(leaf, subleaf).ecx;
}

static inline uint32_t cpuid_edx(uint32_t leaf, uint32_t subleaf)
{
	return cpuid(leaf, subleaf).edx;
}

/* rdmsr, wrmsr - #GP, which is a panic, for a register the CPU does not have. */
static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

/*
 * rdmsr_safe, wrmsr_safe - the same for registers that may not exist
 * Return 0, or -EFAULT when the CPU answered with #GP.
 */
int rdmsr_safe(uint32_t msr, uint64_t *value);
int wrmsr_safe(uint32_t msr, uint64_t value);

/* rdtsc - not ordered against the instructions around it. */
static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* rdtsc_ordered - after every earlier load and instruction has finished. */
static inline uint64_t rdtsc_ordered(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* port_read*, port_write* - I/O ports. */
static inline uint8_t port_read8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t port_read16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t port_read32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void port_write8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void port_write16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void port_write32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

/* mmio_read32, mmio_write32 - a device register; @addr from paging_map_mmio(). */
static inline uint32_t mmio_read32(const volatile void *addr)
{
	return *(const volatile uint32_t *)addr;
}

static inline void mmio_write32(volatile void *addr, uint32_t value)
{
	*(volatile uint32_t *)addr = value;
}

#define CPU_DEFINE_CR(cr)                                                                          \
	static inline uint64_t read_##cr(void)                                                     \
	{                                                                                          \
		uint64_t value;                                                                    \
                                                                                                   \
		__asm__ volatile("mov %%" #cr ", %0" : "=r"(value) : : "memory");                  \
		return value;                                                                      \
	}                                                                                          \
	static inline void write_##cr(uint64_t value)                                              \
	{                                                                                          \
		__asm__ volatile("mov %0, %%" #cr : : "r"(value) : "memory");                      \
	}

/* read_cr0(), write_cr0() and so on; read_dr6() and so on. */
CPU_DEFINE_CR(cr0)
CPU_DEFINE_CR(cr2)
CPU_DEFINE_CR(cr3)
CPU_DEFINE_CR(cr4)
CPU_DEFINE_CR(dr0)
CPU_DEFINE_CR(dr1)
CPU_DEFINE_CR(dr2)
CPU_DEFINE_CR(dr3)
CPU_DEFINE_CR(dr6)
CPU_DEFINE_CR(dr7)

#undef CPU_DEFINE_CR

/* xgetbv, xsetbv - #UD without CR4.OSXSAVE. */
static inline uint64_t xgetbv(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static inline void xsetbv(uint32_t index, uint64_t value)
{
	__asm__ volatile("xsetbv"
			 :
			 : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline uint64_t read_rflags(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return flags;
}

/* What LGDT, LIDT, SGDT and SIDT move. */
struct desc_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

_Static_assert(sizeof(struct desc_pointer) == 10, "as LGDT reads it");

static inline void lgdt(const struct desc_pointer *pointer)
{
	__asm__ volatile("lgdt %0" : : "m"(*pointer));
}

static inline void lidt(const struct desc_pointer *pointer)
{
	__asm__ volatile("lidt %0" : : "m"(*pointer));
}

static inline void sgdt(struct desc_pointer *pointer)
{
	__asm__ volatile("sgdt %0" : "=m"(*pointer));
}

static inline void sidt(struct desc_pointer *pointer)
{
	__asm__ volatile("sidt %0" : "=m"(*pointer));
}

static inline void ltr(uint16_t selector)
{
	__asm__ volatile("ltr %0" : : "r"(selector) : "memory");
}

static inline void lldt(uint16_t selector)
{
	__asm__ volatile("lldt %0" : : "r"(selector) : "memory");
}

static inline void invlpg(const void *addr)
{
	__asm__ volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

/* cpu_irq_disable - interrupts are off nearly always; see core/spinlock.h. */
static inline void cpu_irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* cpu_irq_window - let pending interrupts in: the one after STI is never interrupted. */
static inline void cpu_irq_window(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
}

/* cpu_irq_wait - halt with interrupts on; one that is already pending ends it at once. */
static inline void cpu_irq_wait(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* cpu_halt - never again; only NMI and INIT still reach this CPU. */
static inline void __attribute__((noreturn)) cpu_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

static inline void cpu_pause(void)
{
	__builtin_ia32_pause();
}

#endif
