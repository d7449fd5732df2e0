/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The permission maps: which I/O ports and MSRs a guest reaches without an exit
 *
 * No port; and of the MSRs only those that VMLOAD and VMSAVE switch, so that a guest never sees or
 * leaves anything in a register that somebody else uses. All guests share the maps.
 *
 * Documents: APM vol. 2, 15.10.1 "I/O Permissions Map", 15.11 "MSR Intercepts".
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu/msr.h"
#include "arch/x86_64/cpu/paging.h"

#define IOPM_SIZE  (3 * PAGE_SIZE)
#define MSRPM_SIZE (2 * PAGE_SIZE)

/* The MSR map has 2 bits an MSR (read, write) for each of these ranges of 2000h, in this order. */
#define MSRPM_RANGE 0x2000u
static const uint32_t msrpm_ranges[] = {0x00000000, 0xc0000000, 0xc0010000};

static const uint32_t direct_msrs[] = {
	MSR_STAR,    MSR_LSTAR,		 MSR_CSTAR,	  MSR_SFMASK,	    MSR_FS_BASE,
	MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
};

static const uint8_t iopm[IOPM_SIZE] __attribute__((aligned(PAGE_SIZE))) = {
	[0 ... IOPM_SIZE - 1] = 0xff,
};

static uint8_t msrpm[MSRPM_SIZE] __attribute__((aligned(PAGE_SIZE)));

static void allow_msr(uint32_t msr)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(msrpm_ranges); i++) {
		uint32_t index = msr - msrpm_ranges[i];

		if (index < MSRPM_RANGE) {
			uint32_t bit = 2 * (i * MSRPM_RANGE + index);

			msrpm[bit / 8] &= (uint8_t) ~(3u << (bit % 8));
		}
	}
}

void svm_maps_init(void)
{
	for (uint32_t i = 0; i < MSRPM_SIZE; i++)
		msrpm[i] = 0xff;
	for (uint32_t i = 0; i < ARRAY_SIZE(direct_msrs); i++)
		allow_msr(direct_msrs[i]);
}

hpa_t svm_iopm_address(void)
{
	return virt_to_phys(iopm);
}

hpa_t svm_msrpm_address(void)
{
	return virt_to_phys(msrpm);
}
