/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest finds of firmware: the ACPI tables of a hardware-reduced machine without any of a
 * PC's legacy devices, and the reset vector
 *
 *   RSDP -> XSDT -> FADT -> DSDT (core/vm/dsdt.asl)
 *	      `--> MADT
 *
 * Documents: ACPI 6.4 chapter 5.
 */
#include "core/dev/power.h"
#include "core/string.h"
#include "core/vm/loader.h"
#include "core/vm/vm.h"

/* core/vm/dsdt.S */
extern const uint8_t dsdt_aml[];
extern const uint32_t dsdt_aml_size;

#define PACKED __attribute__((packed))

#define OEM_ID	      "TIDEPL"
#define OEM_TABLE_ID  "TIDEPOOL"
#define OEM_REVISION  1
#define CREATOR_ID    "TDPL"
#define HYPERVISOR_ID "TIDEPOOL"

#define RSDP_REVISION	   2
#define XSDT_REVISION	   1
#define FADT_REVISION	   6
#define FADT_MINOR_VERSION 4
#define MADT_REVISION	   5

#define TABLE_ALIGNMENT 64u

/* Generic address structure, section 5.2.3.2 */
#define SPACE_IO    1
#define ACCESS_BYTE 1

struct acpi_address {
	uint8_t space;
	uint8_t bit_width, bit_offset;
	uint8_t access_size;
	uint64_t address;
} PACKED;

/* Section 5.2.5.3 */
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} PACKED;

#define RSDP_V1_SIZE 20

/* Section 5.2.6 */
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;

#define XSDT_ENTRIES 2

struct acpi_xsdt {
	struct acpi_header header;
	uint64_t entries[XSDT_ENTRIES];
} PACKED;

/* Section 5.2.9. All that describes hardware of the full, not reduced, machine stays zero. */
struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs, dsdt;
	uint8_t full_hardware_1[65];
	uint16_t iapc_boot_arch;
	uint8_t reserved;
	uint32_t flags;
	struct acpi_address reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_version;
	uint64_t x_facs, x_dsdt;
	uint8_t full_hardware_2[96];
	struct acpi_address sleep_control, sleep_status;
	char hypervisor_id[8];
} PACKED;

#define FADT_WBINVD	   BIT(0)
#define FADT_PROC_C1	   BIT(2)
#define FADT_PWR_BUTTON	   BIT(4) /* no fixed power button */
#define FADT_SLP_BUTTON	   BIT(5)
#define FADT_RESET_REG_SUP BIT(10)
#define FADT_HEADLESS	   BIT(12)
#define FADT_HW_REDUCED	   BIT(20)

#define IAPC_NO_VGA	 BIT(2)
#define IAPC_NO_MSI	 BIT(3)
#define IAPC_NO_CMOS_RTC BIT(5) /* LEGACY_DEVICES and 8042, bits 0 and 1, are clear as well */

/* Section 5.2.12 */
struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic_address;
	uint32_t flags; /* PCAT_COMPAT is clear: there are no 8259s */
} PACKED;

struct madt_lapic {
	uint8_t type, length;
	uint8_t processor_uid;
	uint8_t apic_id;
	uint32_t flags;
} PACKED;

struct madt_ioapic {
	uint8_t type, length;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} PACKED;

struct madt_lapic_nmi {
	uint8_t type, length;
	uint8_t processor_uid;
	uint16_t flags;
	uint8_t lint;
} PACKED;

#define MADT_LAPIC     0
#define MADT_IOAPIC    1
#define MADT_LAPIC_NMI 4

#define MADT_LAPIC_ENABLED BIT(0)
#define MADT_ALL_UIDS	   0xff

struct madt {
	struct acpi_madt fixed;
	struct madt_ioapic ioapic;
	struct madt_lapic_nmi nmi;
	struct madt_lapic lapics[CONFIG_MAX_VCPUS]; /* as many as the guest has vCPUs */
} PACKED;

_Static_assert(sizeof(struct acpi_address) == 12, "ACPI 5.2.3.2");
_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 5.2.5.3");
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 5.2.6");
_Static_assert(offsetof(struct acpi_fadt, iapc_boot_arch) == 109, "ACPI 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, reset_reg) == 116, "ACPI 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "ACPI 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, sleep_control) == 244, "ACPI 5.2.9");
_Static_assert(sizeof(struct acpi_fadt) == 276, "ACPI 5.2.9");
_Static_assert(sizeof(struct acpi_madt) == 44, "ACPI 5.2.12");
_Static_assert(sizeof(struct madt_lapic) == 8, "ACPI 5.2.12.2");
_Static_assert(sizeof(struct madt_ioapic) == 12, "ACPI 5.2.12.3");
_Static_assert(sizeof(struct madt_lapic_nmi) == 6, "ACPI 5.2.12.7");
_Static_assert(CONFIG_MAX_VCPUS < MADT_ALL_UIDS, "larger ids need x2APIC entries");

/* Where the next table goes; 0 when one did not fit. */
struct table_area {
	struct vm *vm;
	gpa_t next;
};

/* What makes the bytes of a table add up to zero. */
static uint8_t checksum(const void *table, size_t size)
{
	const uint8_t *bytes = table;
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

static void set_header(struct acpi_header *header, const char *signature, uint8_t revision,
		       size_t size)
{
	memcpy(header->signature, signature, sizeof(header->signature));
	header->length = (uint32_t)size;
	header->revision = revision;
	memcpy(header->oem_id, OEM_ID, sizeof(header->oem_id));
	memcpy(header->oem_table_id, OEM_TABLE_ID, sizeof(header->oem_table_id));
	header->oem_revision = OEM_REVISION;
	memcpy(header->creator_id, CREATOR_ID, sizeof(header->creator_id));
	header->creator_revision = OEM_REVISION;
	header->checksum = checksum(header, size);
}

/* Returns where the table was put. After one that does not fit, area->next stays 0. */
static gpa_t place(struct table_area *area, const void *table, size_t size)
{
	gpa_t gpa = area->next;

	if (!gpa)
		return 0;
	if (size > VM_ACPI_BASE + VM_ACPI_SIZE - gpa ||
	    vm_write_guest(area->vm, gpa, table, size) < 0) {
		area->next = 0;
		return 0;
	}
	area->next = ALIGN_UP(gpa + size, TABLE_ALIGNMENT);
	return gpa;
}

static struct acpi_address byte_port(uint16_t port)
{
	return (struct acpi_address){
		.space = SPACE_IO,
		.bit_width = 8,
		.access_size = ACCESS_BYTE,
		.address = port,
	};
}

static gpa_t place_fadt(struct table_area *area, gpa_t dsdt)
{
	struct acpi_fadt fadt = {
		.dsdt = (uint32_t)dsdt,
		.iapc_boot_arch = IAPC_NO_VGA | IAPC_NO_MSI | IAPC_NO_CMOS_RTC,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
			 FADT_RESET_REG_SUP | FADT_HEADLESS | FADT_HW_REDUCED,
		.reset_reg = byte_port(POWER_PORT_RESET),
		.reset_value = POWER_RESET_VALUE,
		.minor_version = FADT_MINOR_VERSION,
		.x_dsdt = dsdt,
		.sleep_control = byte_port(POWER_PORT_SLEEP_CONTROL),
		.sleep_status = byte_port(POWER_PORT_SLEEP_STATUS),
	};

	memcpy(fadt.hypervisor_id, HYPERVISOR_ID, sizeof(fadt.hypervisor_id));
	set_header(&fadt.header, "FACP", FADT_REVISION, sizeof(fadt));
	return place(area, &fadt, sizeof(fadt));
}

static gpa_t place_madt(struct table_area *area)
{
	uint32_t count = area->vm->vcpu_count;
	size_t size = offsetof(struct madt, lapics) + count * sizeof(struct madt_lapic);
	struct madt madt = {
		.fixed.lapic_address = (uint32_t)VM_LAPIC_BASE,
		.ioapic =
			{
				.type = MADT_IOAPIC,
				.length = sizeof(struct madt_ioapic),
				.address = (uint32_t)VM_IOAPIC_BASE,
			},
		.nmi =
			{
				.type = MADT_LAPIC_NMI,
				.length = sizeof(struct madt_lapic_nmi),
				.processor_uid = MADT_ALL_UIDS,
				.lint = 1,
			},
	};

	for (uint32_t i = 0; i < count; i++)
		madt.lapics[i] = (struct madt_lapic){
			.type = MADT_LAPIC,
			.length = sizeof(struct madt_lapic),
			.processor_uid = (uint8_t)i,
			.apic_id = (uint8_t)i,
			.flags = MADT_LAPIC_ENABLED,
		};
	set_header(&madt.fixed.header, "APIC", MADT_REVISION, size);
	return place(area, &madt, size);
}

static void set_rsdp(struct acpi_rsdp *rsdp, gpa_t xsdt)
{
	*rsdp = (struct acpi_rsdp){
		.revision = RSDP_REVISION,
		.length = sizeof(*rsdp),
		.xsdt = xsdt,
	};
	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem_id, OEM_ID, sizeof(rsdp->oem_id));
	rsdp->checksum = checksum(rsdp, RSDP_V1_SIZE);
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}

/*
 * Linux on a hardware-reduced machine restarts by EFI, and without EFI by a jump to the reset
 * vector of a PC's BIOS, in real mode, before it would try the reset register. So there is code for
 * it.
 */
#define RESET_VECTOR 0xffff0u

static const uint8_t reset_code[] = {
	0xba, POWER_PORT_RESET & 0xff, POWER_PORT_RESET >> 8, /* mov $POWER_PORT_RESET, %dx */
	0xb0, POWER_RESET_VALUE,			      /* mov $POWER_RESET_VALUE, %al */
	0xee,						      /* out %al, (%dx) */
};

_Static_assert(RESET_VECTOR >= VM_ACPI_BASE + VM_ACPI_SIZE, "behind the tables");
_Static_assert(RESET_VECTOR + sizeof(reset_code) <= VM_HIGH_RAM, "inside the ROM area");

gpa_t vm_acpi_build(struct vm *vm)
{
	struct table_area area = {.vm = vm, .next = VM_ACPI_BASE};
	struct acpi_xsdt xsdt = {0};
	struct acpi_rsdp rsdp = {0};
	gpa_t rsdp_at, xsdt_at;

	/* The RSDP first, where a search of the ROM area begins; its contents when they are known.
	 */
	rsdp_at = place(&area, &rsdp, sizeof(rsdp));
	xsdt.entries[0] = place_fadt(&area, place(&area, dsdt_aml, dsdt_aml_size));
	xsdt.entries[1] = place_madt(&area);
	set_header(&xsdt.header, "XSDT", XSDT_REVISION, sizeof(xsdt));
	xsdt_at = place(&area, &xsdt, sizeof(xsdt));
	if (!xsdt_at)
		return 0;
	set_rsdp(&rsdp, xsdt_at);
	if (vm_write_guest(vm, rsdp_at, &rsdp, sizeof(rsdp)) < 0 ||
	    vm_write_guest(vm, RESET_VECTOR, reset_code, sizeof(reset_code)) < 0)
		return 0;
	return rsdp_at;
}
