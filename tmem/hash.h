/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SipHash-1-3 of 64-bit words, as Linux, Rust and Python use it for their hash tables: keyed, so
 * that a guest, who chooses the object ids and indices, cannot make the index degenerate.
 *
 * Source: Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012.
 */
#ifndef TMEM_HASH_H
#define TMEM_HASH_H

#include <stdint.h>

static inline uint64_t tmem_rotate(uint64_t x, unsigned int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static inline void tmem_hash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = tmem_rotate(v[1], 13) ^ v[0];
	v[3] = tmem_rotate(v[3], 16) ^ v[2];
	v[0] = tmem_rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = tmem_rotate(v[1], 17) ^ v[2];
	v[3] = tmem_rotate(v[3], 21) ^ v[0];
	v[2] = tmem_rotate(v[2], 32);
}

/* The state in which hashing starts. */
static inline void tmem_hash_start(const uint64_t seed[2], uint64_t v[4])
{
	v[0] = seed[0] ^ 0x736f6d6570736575ull;
	v[1] = seed[1] ^ 0x646f72616e646f6dull;
	v[2] = seed[0] ^ 0x6c7967656e657261ull;
	v[3] = seed[1] ^ 0x7465646279746573ull;
}

static inline void tmem_hash_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	tmem_hash_round(v);
	v[0] ^= word;
}

/* The hash of the @count words that went into @v. */
static inline uint64_t tmem_hash_end(uint64_t v[4], unsigned int count)
{
	tmem_hash_word(v, (uint64_t)count * sizeof(uint64_t) << 56);
	v[2] ^= 0xff;
	tmem_hash_round(v);
	tmem_hash_round(v);
	tmem_hash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/*
 * tmem_hash_words - hash @count words under the 128-bit key @seed
 *
 * The length is part of the hash: an object id and a page key never hash alike by construction.
 */
static inline uint64_t tmem_hash_words(const uint64_t seed[2], const uint64_t *words,
				       unsigned int count)
{
	uint64_t v[4];
	unsigned int i;

	tmem_hash_start(seed, v);
	for (i = 0; i < count; i++)
		tmem_hash_word(v, words[i]);
	return tmem_hash_end(v, count);
}

#endif
