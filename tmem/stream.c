/* SPDX-License-Identifier: BSD-2-Clause */
#define XXH_INLINE_ALL
#define XXH_VECTOR 0 /* the hypervisor has no vector registers */
#include <xxhash.h>

#include "tmem/stream.h"
#include "tmem/tmem.h"

uint32_t tmem_stream_length(uint32_t kind)
{
	switch (kind) {
	case TMEM_RECORD_BEGIN:
	case TMEM_RECORD_POOL:
	case TMEM_RECORD_GONE:
	case TMEM_RECORD_CLOSED:
	case TMEM_RECORD_END:
		return sizeof(struct tmem_record);
	case TMEM_RECORD_PAGE:
		return sizeof(struct tmem_record) + TMEM_PAGE_SIZE;
	case TMEM_RECORD_FILLED:
		return sizeof(struct tmem_record) + sizeof(uint64_t);
	default:
		return 0;
	}
}

uint64_t tmem_stream_checksum(const struct tmem_record *record, const void *payload, uint64_t last)
{
	uint64_t seed = XXH64(payload, record->length - sizeof(*record), last);

	return XXH64(record, offsetof(struct tmem_record, checksum), seed);
}
