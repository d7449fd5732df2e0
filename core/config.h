/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration: the boot line and the words of each module line. docs/manual.md lists every word.
 *
 *   module2 /boot/vmlinuz web kernel memory=512M vcpus=2 weight=2 tmem=256M -- console=ttyS0
 *   module2 /boot/initrd.img web initrd
 *   module2 /boot/root.ext4 web disk
 *   module2 /boot/usr.squashfs web,db disk ro delay=200us
 *
 * A bad word costs the guest it is for, with a message that names module, word and what was
 * expected; the other guests start.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "boot/bootinfo.h"
#include "core/types.h"

#define CONFIG_MAX_GUESTS 32
#define CONFIG_NAME_MAX	  16 /* with the terminating zero; letters, digits, '-' and '_' */

#define CONFIG_MEMORY_DEFAULT	(256 * MIB)
#define CONFIG_MEMORY_MIN	(4 * MIB)
#define CONFIG_MEMORY_MAX	(512 * GIB)
#define CONFIG_MAX_VCPUS	16
#define CONFIG_WEIGHT_MAX	100
#define CONFIG_MAX_DISKS	7
#define CONFIG_MAX_POOLS	8
#define CONFIG_DISK_MIN		512
#define CONFIG_MAX_DEDUP_GROUPS 16
#define CONFIG_DELAY_MAX_NS	1000000000ull

/* A disk as one guest sees it. Only a read-only one may have several guests. */
struct disk_config {
	const struct boot_module *module;
	uint64_t delay_ns; /* a request takes at least this long */
	uint32_t image;	   /* TIDEPOOL_DISK_IMAGE; 0: this guest may write to it */
	bool read_only;
};

/* "pool=": a pool of the store that guests share. */
struct pool_config {
	char name[CONFIG_NAME_MAX]; /* as a guest asks for it: the uuid's 16 bytes */
	uint64_t tmem_cap;	    /* as of a guest */
	uint64_t tmem_reserve;
	uint16_t tmem_weight;
	bool persistent;
};

/* "shared=": a guest's right to one of them. */
struct grant_config {
	uint8_t pool; /* its index in struct config */
	bool write;   /* "rw", else "ro" */
};

/* "dedup=": whose equal pages share memory in the store. From CONFIG_DEDUP_GROUP on: a group's. */
enum config_dedup { CONFIG_DEDUP_ALONE, CONFIG_DEDUP_OFF, CONFIG_DEDUP_GROUP };

/* "on_reset=" and "on_crash=": what to do with a guest that ends so. */
enum config_then { CONFIG_STOP, CONFIG_RESTART };

struct guest_config {
	char name[CONFIG_NAME_MAX];
	const struct boot_module *kernel;
	const struct boot_module *initrd; /* NULL: none */
	const char *cmdline;   /* after "--", inside kernel->words; "" when there is none */
	uint64_t memory;       /* bytes, a multiple of BLOCK_SIZE */
	uint64_t tmem_cap;     /* bytes of host memory its pages may take; UINT64_MAX: no cap */
	uint64_t tmem_reserve; /* bytes that are set aside for them */
	uint16_t tmem_weight;  /* its share of the rest of the store */
	bool compress;	       /* "compress=": cold ones are kept compressed */
	uint16_t refuse;       /* "refuse=": of so many puts one is refused; 0: none */
	uint32_t dedup;	       /* enum config_dedup */
	uint32_t vcpus;
	uint64_t cpus; /* bit n: its vCPUs may be placed on host CPU n; 0: on any */
	uint32_t weight;
	enum config_then on_reset, on_crash;
	uint32_t disk_count;
	struct disk_config disks[CONFIG_MAX_DISKS]; /* in the order of their lines */
	uint32_t grant_count;
	struct grant_config grants[CONFIG_MAX_POOLS];
	bool manager; /* "manager": it may save and restore the others' pages in the store */
	bool testdev; /* "testdev": it has the ports of core/dev/testdev.h */
};

enum config_when_idle { CONFIG_IDLE_HALT, CONFIG_IDLE_POWEROFF };
enum config_apicv { CONFIG_APICV_AUTO, CONFIG_APICV_OFF, CONFIG_APICV_ON };

struct config {
	enum config_when_idle when_idle; /* "idle=": what to do when the last guest has ended */
	bool nmi_panic;		 /* "nmi=panic": an NMI ends the host, showing where it was */
	enum config_apicv apicv; /* "apicv=": interrupt delivery by the processor; see init.c */
	bool mitigations_off;	 /* "mitigations=off": no speculation barriers, to compare */
	uint32_t pool_count;
	struct pool_config pools[CONFIG_MAX_POOLS];
	uint32_t dedup_group_count;
	char dedup_groups[CONFIG_MAX_DEDUP_GROUPS][CONFIG_NAME_MAX];
	uint32_t guest_count;
	struct guest_config guests[CONFIG_MAX_GUESTS];
};

/*
 * config_parse - understand boot line and module lines
 * @report: called once for every fault, with a complete sentence without newline
 *
 * Fills @config with the guests that can start. A guest with any fault in any of its lines is left
 * out. Returns the number of faults. Whether there is enough memory is not known here: vm_create()
 * tells.
 */
int config_parse(const struct boot_info *boot, struct config *config,
		 void (*report)(const char *sentence));

#endif
