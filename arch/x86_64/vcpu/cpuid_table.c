/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allow-list of CPUID leaves. What is not here, future leaves and bits included, reads as zero.
 *
 * Documents: SDM vol. 2A "CPUID"; APM vol. 3 appendix E.
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/cpuid.h"
#include "arch/x86_64/vcpu/cpuid_bits.h"
#include <tidepool/abi.h>

#define ALL	   UINT32_MAX
#define CACHE_BITS 0x3ffu /* type, level, self-initialising, fully associative */

/* The registers of a cache leaf, but for who shares it. */
#define CACHE_ALLOWED                                                                              \
	{                                                                                          \
		.eax = CACHE_BITS, .ebx = ALL, .ecx = ALL, .edx = 7                                \
	}
/* The registers of an XSAVE component: size, offset, alignment; no supervisor states. */
#define XSTATE_ALLOWED                                                                             \
	{                                                                                          \
		.eax = ALL, .ebx = ALL, .ecx = CPUID_D_N_ECX_ALIGNED                               \
	}

const struct cpuid_row cpuid_rows[] = {
	{0x0, CPUID_ANY_SUBLEAF, {.ebx = ALL, .ecx = ALL, .edx = ALL}, cpuid_fix_vendor},
	{0x1,
	 CPUID_ANY_SUBLEAF,
	 {.eax = ALL,
	  .ebx = 0xff00, /* CLFLUSH line size */
	  .ecx = CPUID_1_ECX_SSE3 | CPUID_1_ECX_PCLMULQDQ | CPUID_1_ECX_SSSE3 | CPUID_1_ECX_FMA |
		 CPUID_1_ECX_CX16 | CPUID_1_ECX_PCID | CPUID_1_ECX_SSE4_1 | CPUID_1_ECX_SSE4_2 |
		 CPUID_1_ECX_MOVBE | CPUID_1_ECX_POPCNT | CPUID_1_ECX_AES | CPUID_1_ECX_XSAVE |
		 CPUID_1_ECX_AVX | CPUID_1_ECX_F16C | CPUID_1_ECX_RDRAND,
	  .edx = CPUID_1_EDX_FPU | CPUID_1_EDX_VME | CPUID_1_EDX_DE | CPUID_1_EDX_PSE |
		 CPUID_1_EDX_TSC | CPUID_1_EDX_MSR | CPUID_1_EDX_PAE | CPUID_1_EDX_MCE |
		 CPUID_1_EDX_CX8 | CPUID_1_EDX_APIC | CPUID_1_EDX_SEP | CPUID_1_EDX_MTRR |
		 CPUID_1_EDX_PGE | CPUID_1_EDX_MCA | CPUID_1_EDX_CMOV | CPUID_1_EDX_PAT |
		 CPUID_1_EDX_PSE36 | CPUID_1_EDX_CLFLUSH | CPUID_1_EDX_MMX | CPUID_1_EDX_FXSR |
		 CPUID_1_EDX_SSE | CPUID_1_EDX_SSE2 | CPUID_1_EDX_SELF_SNOOP},
	 cpuid_fix_features},
	{0x2, CPUID_ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, NULL}, /* sizes of caches and TLBs */
	{0x4, 0, CACHE_ALLOWED, cpuid_fix_cache},
	{0x4, 1, CACHE_ALLOWED, cpuid_fix_cache},
	{0x4, 2, CACHE_ALLOWED, cpuid_fix_cache},
	{0x4, 3, CACHE_ALLOWED, cpuid_fix_cache},
	{0x6, CPUID_ANY_SUBLEAF, {0}, cpuid_fix_timer},
	{0x7,
	 0,
	 {.ebx = CPUID_7_EBX_FSGSBASE | CPUID_7_EBX_BMI1 | CPUID_7_EBX_AVX2 |
		 CPUID_7_EBX_FDP_EXCPTN | CPUID_7_EBX_SMEP | CPUID_7_EBX_BMI2 | CPUID_7_EBX_ERMS |
		 CPUID_7_EBX_INVPCID | CPUID_7_EBX_NO_FPU_CS_DS | CPUID_7_EBX_AVX512F |
		 CPUID_7_EBX_AVX512DQ | CPUID_7_EBX_RDSEED | CPUID_7_EBX_ADX | CPUID_7_EBX_SMAP |
		 CPUID_7_EBX_AVX512_IFMA | CPUID_7_EBX_CLFLUSHOPT | CPUID_7_EBX_CLWB |
		 CPUID_7_EBX_AVX512CD | CPUID_7_EBX_SHA | CPUID_7_EBX_AVX512BW |
		 CPUID_7_EBX_AVX512VL,
	  .ecx = CPUID_7_ECX_PREFETCHWT1 | CPUID_7_ECX_AVX512_VBMI | CPUID_7_ECX_UMIP |
		 CPUID_7_ECX_AVX512_VBMI2 | CPUID_7_ECX_GFNI | CPUID_7_ECX_VAES |
		 CPUID_7_ECX_VPCLMULQDQ | CPUID_7_ECX_AVX512_VNNI | CPUID_7_ECX_AVX512_BITALG |
		 CPUID_7_ECX_AVX512_VPOPCNTDQ | CPUID_7_ECX_RDPID | CPUID_7_ECX_CLDEMOTE |
		 CPUID_7_ECX_MOVDIRI | CPUID_7_ECX_MOVDIR64B,
	  .edx = CPUID_7_EDX_FSRM | CPUID_7_EDX_AVX512_VP2INTERSECT | CPUID_7_EDX_MD_CLEAR |
		 CPUID_7_EDX_SERIALIZE | CPUID_7_EDX_AVX512_FP16 | CPUID_7_EDX_SPEC_CTRL |
		 CPUID_7_EDX_STIBP | CPUID_7_EDX_ARCH_CAPABILITIES | CPUID_7_EDX_SSBD},
	 cpuid_fix_structured},
	{0x7,
	 1,
	 {.eax = CPUID_7_1_EAX_AVX_VNNI | CPUID_7_1_EAX_AVX512_BF16 | CPUID_7_1_EAX_FZRM |
		 CPUID_7_1_EAX_FSRS | CPUID_7_1_EAX_FSRC},
	 NULL},
	{0xb, 0, {0}, cpuid_fix_threads},
	{0xb, 1, {0}, cpuid_fix_cores},
	{0xb, CPUID_ANY_SUBLEAF, {0}, cpuid_fix_no_level},
	{0xd, 0, {0}, cpuid_fix_xstate},
	/* No XSAVEC: Bochs 2.7, which VMX is tested on, saves and restores at different places. */
	{0xd, 1, {.eax = CPUID_D_1_EAX_XSAVEOPT | CPUID_D_1_EAX_XGETBV1}, NULL},
	{0xd, 2, XSTATE_ALLOWED, NULL}, /* AVX */
	{0xd, 5, XSTATE_ALLOWED, NULL}, /* AVX-512: opmask, ZMM_Hi256, Hi16_ZMM */
	{0xd, 6, XSTATE_ALLOWED, NULL},
	{0xd, 7, XSTATE_ALLOWED, NULL},
	{0x15, CPUID_ANY_SUBLEAF, {0}, cpuid_fix_crystal},
	{0x16, CPUID_ANY_SUBLEAF, {0}, cpuid_fix_frequency},
	{CPUID_HYPERVISOR, CPUID_ANY_SUBLEAF, {0}, cpuid_fix_kvm_signature},
	{CPUID_HYPERVISOR + 1, CPUID_ANY_SUBLEAF, {0}, cpuid_fix_kvm_features},
	{CPUID_HYPERVISOR + TIDEPOOL_CPUID_STEP,
	 CPUID_ANY_SUBLEAF,
	 {0},
	 cpuid_fix_tidepool_signature},
	{CPUID_HYPERVISOR + TIDEPOOL_CPUID_STEP + TIDEPOOL_CPUID_VERSION,
	 CPUID_ANY_SUBLEAF,
	 {0},
	 cpuid_fix_tidepool_version},
	{CPUID_EXTENDED,
	 CPUID_ANY_SUBLEAF,
	 {.ebx = ALL, .ecx = ALL, .edx = ALL},
	 cpuid_fix_extended},
	{0x80000001,
	 CPUID_ANY_SUBLEAF,
	 {.eax = ALL,
	  .ecx = CPUID_80000001_ECX_LAHF | CPUID_80000001_ECX_ABM | CPUID_80000001_ECX_SSE4A |
		 CPUID_80000001_ECX_MISALIGNSSE | CPUID_80000001_ECX_PREFETCHW |
		 CPUID_80000001_ECX_XOP | CPUID_80000001_ECX_FMA4 | CPUID_80000001_ECX_TBM |
		 CPUID_80000001_ECX_TOPOEXT,
	  .edx = CPUID_1_EDX_SHARED | CPUID_80000001_EDX_SYSCALL | CPUID_80000001_EDX_NX |
		 CPUID_80000001_EDX_MMXEXT | CPUID_80000001_EDX_PDPE1GB |
		 CPUID_80000001_EDX_RDTSCP | CPUID_80000001_EDX_LM | CPUID_80000001_EDX_3DNOWEXT |
		 CPUID_80000001_EDX_3DNOW},
	 cpuid_fix_extended_features},
	{0x80000002, CPUID_ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, NULL}, /* the processor's name */
	{0x80000003, CPUID_ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, NULL},
	{0x80000004, CPUID_ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, NULL},
	{0x80000005, CPUID_ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, NULL}, /* sizes of caches and TLBs */
	{0x80000006, CPUID_ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, NULL},
	{0x80000007, CPUID_ANY_SUBLEAF, {0}, cpuid_fix_power},
	{0x80000008,
	 CPUID_ANY_SUBLEAF,
	 {.eax = 0xff, /* physical address bits */
	  .ebx = CPUID_80000008_EBX_CLZERO | CPUID_80000008_EBX_XSAVEERPTR |
		 CPUID_80000008_EBX_IBPB | CPUID_80000008_EBX_SSB_NO | CPUID_80000008_EBX_BTC_NO},
	 cpuid_fix_address_sizes},
	{0x8000001d, 0, CACHE_ALLOWED, cpuid_fix_cache},
	{0x8000001d, 1, CACHE_ALLOWED, cpuid_fix_cache},
	{0x8000001d, 2, CACHE_ALLOWED, cpuid_fix_cache},
	{0x8000001d, 3, CACHE_ALLOWED, cpuid_fix_cache},
	{0x8000001e, CPUID_ANY_SUBLEAF, {0}, cpuid_fix_amd_topology},
	{0x80000021,
	 CPUID_ANY_SUBLEAF,
	 {.eax = CPUID_80000021_EAX_NO_NESTED_BP | CPUID_80000021_EAX_LFENCE_SERIAL |
		 CPUID_80000021_EAX_NULL_SEL_CLEARS | CPUID_80000021_EAX_SRSO_NO},
	 NULL},
};

const unsigned int cpuid_row_count = ARRAY_SIZE(cpuid_rows);

const struct cpuid_need cpuid_needs[] = {
	{0x1, CPUID_ANY_SUBLEAF, XCR0_X87, {.ecx = CPUID_1_ECX_XSAVE}},
	{0x1,
	 CPUID_ANY_SUBLEAF,
	 XCR0_AVX,
	 {.ecx = CPUID_1_ECX_AVX | CPUID_1_ECX_FMA | CPUID_1_ECX_F16C}},
	{0x7,
	 0,
	 XCR0_AVX,
	 {.ebx = CPUID_7_EBX_AVX2, .ecx = CPUID_7_ECX_VAES | CPUID_7_ECX_VPCLMULQDQ}},
	{0x7, 1, XCR0_AVX, {.eax = CPUID_7_1_EAX_AVX_VNNI}},
	{0x80000001,
	 CPUID_ANY_SUBLEAF,
	 XCR0_AVX,
	 {.ecx = CPUID_80000001_ECX_XOP | CPUID_80000001_ECX_FMA4}},
	{0x7,
	 0,
	 XCR0_OPMASK,
	 {.ebx = CPUID_7_EBX_AVX512F | CPUID_7_EBX_AVX512DQ | CPUID_7_EBX_AVX512_IFMA |
		 CPUID_7_EBX_AVX512CD | CPUID_7_EBX_AVX512BW | CPUID_7_EBX_AVX512VL,
	  .ecx = CPUID_7_ECX_AVX512_VBMI | CPUID_7_ECX_AVX512_VBMI2 | CPUID_7_ECX_AVX512_VNNI |
		 CPUID_7_ECX_AVX512_BITALG | CPUID_7_ECX_AVX512_VPOPCNTDQ,
	  .edx = CPUID_7_EDX_AVX512_VP2INTERSECT | CPUID_7_EDX_AVX512_FP16}},
	{0x7, 1, XCR0_OPMASK, {.eax = CPUID_7_1_EAX_AVX512_BF16}},
	{0xd, 1, XCR0_X87, {.eax = ALL}},
	{0xd, 2, XCR0_AVX, {ALL, ALL, ALL, ALL}},
	{0xd, 5, XCR0_OPMASK, {ALL, ALL, ALL, ALL}},
	{0xd, 6, XCR0_ZMM_HI256, {ALL, ALL, ALL, ALL}},
	{0xd, 7, XCR0_HI16_ZMM, {ALL, ALL, ALL, ALL}},
};

const unsigned int cpuid_need_count = ARRAY_SIZE(cpuid_needs);
