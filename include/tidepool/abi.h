/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ABI between a guest and Tidepool. docs/abi.md is the normative text; this header gives its
 * numbers names. Shared by the hypervisor, the guest drivers and the tests; it includes nothing.
 *
 * A call: RAX = TIDEPOOL_CALL(op), arguments in RDI, RSI, RDX, RCX, R8, R9 (as a C function's),
 * then VMCALL on Intel or VMMCALL on AMD. RAX returns a signed 64-bit value: >= 0 is success,
 * < 0 is one of TIDEPOOL_E*. No other register, and no flag, changes.
 */
#ifndef TIDEPOOL_ABI_H
#define TIDEPOOL_ABI_H

/* Discovery: the CPUID hypervisor leaves, searched from 0x40000000 in steps of 0x100. */
#define TIDEPOOL_CPUID_FIRST	 0x40000000u
#define TIDEPOOL_CPUID_LAST	 0x40010000u
#define TIDEPOOL_CPUID_STEP	 0x100u
#define TIDEPOOL_CPUID_SIGNATURE "TidepoolTmem" /* 12 bytes in EBX, ECX, EDX of leaf +0 */
#define TIDEPOOL_CPUID_VERSION	 1u /* leaf +1: EAX version, EBX features, ECX max pools */

/* Feature bits of leaf +1, EBX. */
#define TIDEPOOL_FEATURE_VECTOR	 (1u << 0) /* TIDEPOOL_OP_VECTOR */
#define TIDEPOOL_FEATURE_RANGE	 (1u << 1) /* TIDEPOOL_OP_FLUSH_RANGE */
#define TIDEPOOL_FEATURE_SUBPAGE (1u << 2) /* TIDEPOOL_OP_NEW_PAGE, _READ, _WRITE, _XCHG */
#define TIDEPOOL_FEATURE_SHARED	 (1u << 3) /* TIDEPOOL_POOL_SHARED, for those who are granted it */
#define TIDEPOOL_FEATURE_HUGE	 (1u << 4) /* pools of order TIDEPOOL_HUGE_ORDER */
#define TIDEPOOL_FEATURE_MANAGE	 (1u << 5) /* TIDEPOOL_OP_MANAGE, for managers */
#define TIDEPOOL_FEATURE_HUGE_PARTS                                                                \
	(1u << 6) /* TIDEPOOL_OP_READ, _WRITE, _XCHG and _FLUSH_RANGE in those pools */
#define TIDEPOOL_FEATURE_BALLOON (1u << 8) /* TIDEPOOL_OP_GIVE_BLOCK and the three behind it */

/* Those of this version. */
#define TIDEPOOL_FEATURES                                                                          \
	(TIDEPOOL_FEATURE_VECTOR | TIDEPOOL_FEATURE_RANGE | TIDEPOOL_FEATURE_SUBPAGE |             \
	 TIDEPOOL_FEATURE_SHARED | TIDEPOOL_FEATURE_HUGE | TIDEPOOL_FEATURE_BALLOON |              \
	 TIDEPOOL_FEATURE_MANAGE | TIDEPOOL_FEATURE_HUGE_PARTS)

/* Version: a guest refuses a major number it does not know. */
#define TIDEPOOL_ABI_MAJOR   1u
#define TIDEPOOL_ABI_MINOR   3u
#define TIDEPOOL_ABI_VERSION ((TIDEPOOL_ABI_MAJOR << 16) | TIDEPOOL_ABI_MINOR)

/* RAX of a call: the magic keeps other hypervisors' calls (Linux makes KVM's) apart from ours. */
#define TIDEPOOL_CALL_MAGIC 0x54500000u
#define TIDEPOOL_CALL(op)   (TIDEPOOL_CALL_MAGIC | (op))

/* Operations. Numbers 1 to 10 are those of Xen's tmem, whether implemented or not. */
#define TIDEPOOL_OP_NULL	 0u  /* () -> TIDEPOOL_ABI_VERSION */
#define TIDEPOOL_OP_NEW_POOL	 1u  /* (flags, uuid_lo, uuid_hi) -> pool id */
#define TIDEPOOL_OP_DESTROY_POOL 2u  /* (pool) -> 0 */
#define TIDEPOOL_OP_NEW_PAGE	 3u  /* (pool, oid0, oid1, oid2, index) -> 0 */
#define TIDEPOOL_OP_PUT_PAGE	 4u  /* (pool, oid0, oid1, oid2, index, gfn) -> 0 */
#define TIDEPOOL_OP_GET_PAGE	 5u  /* (pool, oid0, oid1, oid2, index, gfn) -> 0 */
#define TIDEPOOL_OP_FLUSH_PAGE	 6u  /* (pool, oid0, oid1, oid2, index) -> pages dropped, 0 or 1 */
#define TIDEPOOL_OP_FLUSH_OBJECT 7u  /* (pool, oid0, oid1, oid2) -> 0 */
#define TIDEPOOL_OP_READ	 8u  /* (pool, oid0, oid1, oid2, index, gfn, span) -> 0 */
#define TIDEPOOL_OP_WRITE	 9u  /* (pool, oid0, oid1, oid2, index, gfn, span) -> 0 */
#define TIDEPOOL_OP_XCHG	 10u /* (pool, oid0, oid1, oid2, index, gfn, span) -> 0 */
#define TIDEPOOL_OP_QUERY	 11u /* (TIDEPOOL_QUERY_*) -> value */
#define TIDEPOOL_OP_FLUSH_RANGE	 12u /* (pool, oid0, oid1, oid2, index, count) -> indices done */
#define TIDEPOOL_OP_VECTOR	 16u /* (address of descriptors, count, flags) -> descriptors done */
#define TIDEPOOL_OP_MANAGE	 20u /* (TIDEPOOL_MANAGE_*, guest, ...): managers only */

/* What TIDEPOOL_OP_MANAGE does, in RDI; a guest is a number from FIND. */
#define TIDEPOOL_MANAGE_FIND	      0u /* (name low, name high) -> guest */
#define TIDEPOOL_MANAGE_SAVE_BEGIN    1u /* (guest) -> 0 */
#define TIDEPOOL_MANAGE_SAVE_READ     2u /* (guest, address, bytes) -> bytes written; 0: no more */
#define TIDEPOOL_MANAGE_SAVE_FINISH   3u /* (guest) -> 0 */
#define TIDEPOOL_MANAGE_SAVE_END      4u /* (guest) -> 0 */
#define TIDEPOOL_MANAGE_RESTORE_BEGIN 5u /* (guest) -> 0 */
#define TIDEPOOL_MANAGE_RESTORE_WRITE 6u /* (guest, address, bytes) -> bytes taken */
#define TIDEPOOL_MANAGE_RESTORE_END   7u /* (guest) -> 0 */
#define TIDEPOOL_MANAGE_COUNT	      8u

#define TIDEPOOL_MANAGE_BUFFER_MIN 64u	  /* bytes; of SAVE_READ 4160, the longest record */
#define TIDEPOOL_MANAGE_BUFFER_MAX 65536u /* bytes, in one 2 MiB block of the guest's RAM */
#define TIDEPOOL_OP_GIVE_BLOCK	   24u	  /* (gfn) -> 0 */
#define TIDEPOOL_OP_TAKE_BLOCK	   25u	  /* (gfn) -> 0 */
#define TIDEPOOL_OP_TARGET	   26u	  /* () -> blocks that the guest is asked to keep */
#define TIDEPOOL_OP_REPORT	   27u /* (gfn of a struct tidepool_report, or _REPORT_NONE) -> 0 */
#define TIDEPOOL_OP_COUNT	   28u

/* What TIDEPOOL_OP_QUERY tells a guest about itself. */
#define TIDEPOOL_QUERY_PUTS    0u /* puts that stored a page */
#define TIDEPOOL_QUERY_REFUSED 1u /* puts refused for want of memory */
#define TIDEPOOL_QUERY_GETS    2u /* gets that found their page */
#define TIDEPOOL_QUERY_MISSES  3u /* gets that did not */
#define TIDEPOOL_QUERY_FLUSHED 4u /* pages dropped by flushes, destroyed pools included */
#define TIDEPOOL_QUERY_HELD    5u /* pages held now, all pools */
#define TIDEPOOL_QUERY_COUNT   6u

/* Flags of TIDEPOOL_OP_NEW_POOL; every other bit must be zero. */
#define TIDEPOOL_POOL_PERSISTENT    (1ull << 0) /* else ephemeral: pages may vanish at any time */
#define TIDEPOOL_POOL_SHARED	    (1ull << 1) /* refused with -TIDEPOOL_EPERM unless granted */
#define TIDEPOOL_POOL_ORDER_SHIFT   4		/* bits 7:4: page size is 2^(12 + n) */
#define TIDEPOOL_POOL_ORDER_MASK    (0xfull << TIDEPOOL_POOL_ORDER_SHIFT)
#define TIDEPOOL_HUGE_ORDER	    9u /* the one n besides 0: pages of 2 MiB */
#define TIDEPOOL_POOL_VERSION_SHIFT 24 /* bits 31:24: TIDEPOOL_ABI_MAJOR */
#define TIDEPOOL_POOL_VERSION_MASK  (0xffull << TIDEPOOL_POOL_VERSION_SHIFT)
#define TIDEPOOL_POOL_VERSION                                                                      \
	((unsigned long long)TIDEPOOL_ABI_MAJOR << TIDEPOOL_POOL_VERSION_SHIFT)

/*
 * A span, the seventh argument, in R10: a length, an offset in the stored page, and one in the
 * frame, in bytes. Of a page of 2 MiB there is the number of its 4 KiB part besides, in which the
 * offset is. All other bits must be zero.
 */
#define TIDEPOOL_SPAN_LENGTH_SHIFT 0
#define TIDEPOOL_SPAN_OFFSET_SHIFT 16
#define TIDEPOOL_SPAN_FRAME_SHIFT  32
#define TIDEPOOL_SPAN_PART_SHIFT   48
#define TIDEPOOL_SPAN_MASK	   0xffffull
#define TIDEPOOL_SPAN(length, offset, at)                                                          \
	((unsigned long long)(length) << TIDEPOOL_SPAN_LENGTH_SHIFT |                              \
	 (unsigned long long)(offset) << TIDEPOOL_SPAN_OFFSET_SHIFT |                              \
	 (unsigned long long)(at) << TIDEPOOL_SPAN_FRAME_SHIFT)

#define TIDEPOOL_HUGE_SPAN(part, length, offset, at)                                               \
	(TIDEPOOL_SPAN(length, offset, at) | (unsigned long long)(part) << TIDEPOOL_SPAN_PART_SHIFT)

/* One operation of TIDEPOOL_OP_VECTOR. 64 bytes, aligned likewise in guest-physical memory. */
struct tidepool_descriptor {
	unsigned int op;   /* TIDEPOOL_OP_*, of those on pages, objects and ranges */
	unsigned int pool; /* the arguments, as in the registers of a call of its own */
	unsigned long long oid[3];
	unsigned long long index;
	unsigned long long frame; /* TIDEPOOL_OP_FLUSH_RANGE: the count */
	unsigned long long span;
	long long result; /* written by the host */
};

#define TIDEPOOL_VECTOR_ALL	(1ull << 0) /* flag: gets only; all of them or none */
#define TIDEPOOL_VECTOR_MAX	512u	    /* descriptors of a call */
#define TIDEPOOL_VECTOR_ALL_MAX 16u	    /* with TIDEPOOL_VECTOR_ALL */

/* What a guest says of its memory, in a page that the host reads now and then. Counts of pages. */
struct tidepool_report {
	unsigned long long seconds; /* since the guest started, when it was written last */
	unsigned long long total;   /* RAM that its kernel manages now */
	unsigned long long free;
	unsigned long long available; /* could be had without swapping */
	unsigned long long committed; /* promised to processes */
	unsigned long long swap_in;   /* since the guest started, as are those below */
	unsigned long long swap_out;
	unsigned long long refaults;  /* pages missed soon after they were dropped */
	unsigned long long collected; /* now: 4 KiB pages that wait for the rest of their block */
};

#define TIDEPOOL_REPORT_NONE (~0ull)

#define TIDEPOOL_BLOCK_FRAMES 512u	 /* 4 KiB frames of a block: 2 MiB, aligned likewise */
#define TIDEPOOL_ACPI_ID      "TDPL0001" /* _HID of the device that announces a new target */

/*
 * In the configuration of a virtio disk with Tidepool's vendor id, 64 bits at this offset: which
 * image of the host's is behind it, the same number in all guests that read it. 0: one that this
 * guest may write to. The standard's own fields end far in front of it.
 */
#define TIDEPOOL_VIRTIO_VENDOR 0x4c504454u /* "TDPL" */
#define TIDEPOOL_DISK_IMAGE    0x800u

#define TIDEPOOL_MAX_POOLS  256u /* a guest's pool ids are 0 .. TIDEPOOL_MAX_POOLS - 1 */
#define TIDEPOOL_PAGE_SIZE  4096u
#define TIDEPOOL_HUGE_SIZE  0x200000u
#define TIDEPOOL_HUGE_PARTS 512u /* of TIDEPOOL_PAGE_SIZE in a page of 2 MiB */

/* Errors, returned negative. The values are Linux's where Linux has the name. */
#define TIDEPOOL_EPERM	 1    /* not from ring 0, or a right that the configuration did not grant */
#define TIDEPOOL_ENOENT	 2    /* get: no such page */
#define TIDEPOOL_EAGAIN	 11   /* a bounded step was done, more remains: repeat the same call */
#define TIDEPOOL_ENOMEM	 12   /* refused: no room, nothing changed */
#define TIDEPOOL_EFAULT	 14   /* the frame number names no RAM of this guest */
#define TIDEPOOL_EBUSY	 16   /* manager: the guest is not in a state for it */
#define TIDEPOOL_ENODEV	 19   /* no such pool */
#define TIDEPOOL_EINVAL	 22   /* an argument is outside its range */
#define TIDEPOOL_ENOSPC	 28   /* put refused, and the key's old page was dropped */
#define TIDEPOOL_ENOSYS	 38   /* no such operation */
#define TIDEPOOL_EBADMSG 74   /* manager: the stream is refused */
#define TIDEPOOL_EFROZEN 1001 /* refused: the guest is frozen, its pages may only become fewer */

#endif
