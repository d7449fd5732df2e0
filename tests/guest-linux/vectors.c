/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vectors - keep a pattern in every vector register while others run, and verify it
 *
 *   vectors SEED ROUNDS
 *
 * A round loads all registers that the processor has (ZMM, YMM or XMM), counts down for longer than
 * a process keeps its CPU, and looks at them. Several at once, with seeds of their own, show that
 * neither the kernel's switch of tasks nor the hypervisor's of vCPUs mixes them up. Prints one
 * line:
 *
 *   vectors: OK seed=N registers=COUNTxBYTES rounds=N     exit status 0
 *   vectors: BAD seed=N register=N byte=N round=N         exit status 1
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGISTERS_MAX 32u
#define BYTES_MAX     64u
#define COUNT	      2000000ul /* down from; the kernel has others run after a quarter of it or so */

/* Both 16 registers, and those that only AVX-512 has. */
#define LOW(move)                                                                                  \
	move(0) move(1) move(2) move(3) move(4) move(5) move(6) move(7) move(8) move(9) move(10)   \
		move(11) move(12) move(13) move(14) move(15)
#define HIGH(move)                                                                                 \
	move(16) move(17) move(18) move(19) move(20) move(21) move(22) move(23) move(24) move(25)  \
		move(26) move(27) move(28) move(29) move(30) move(31)

#define LOAD_XMM(n)  "movdqu 64*" #n "(%[in]), %%xmm" #n "\n\t"
#define STORE_XMM(n) "movdqu %%xmm" #n ", 64*" #n "(%[out])\n\t"
#define LOAD_YMM(n)  "vmovdqu 64*" #n "(%[in]), %%ymm" #n "\n\t"
#define STORE_YMM(n) "vmovdqu %%ymm" #n ", 64*" #n "(%[out])\n\t"
#define LOAD_ZMM(n)  "vmovdqu64 64*" #n "(%[in]), %%zmm" #n "\n\t"
#define STORE_ZMM(n) "vmovdqu64 %%zmm" #n ", 64*" #n "(%[out])\n\t"

/* The compiler needs no vector register between these lines: they are one statement. */
#define ROUND(loads, stores, end)                                                                  \
	__asm__ volatile(loads "1: dec %[count]\n\tjnz 1b\n\t" stores end                          \
			 : [count] "+r"(count)                                                     \
			 : [in] "r"(in), [out] "r"(out)                                            \
			 : "memory", "cc")

struct kind {
	unsigned int registers, bytes;
	void (*round)(const void *in, void *out);
};

static void round_xmm(const void *in, void *out)
{
	unsigned long count = COUNT;

	ROUND(LOW(LOAD_XMM), LOW(STORE_XMM), "");
}

static void round_ymm(const void *in, void *out)
{
	unsigned long count = COUNT;

	ROUND(LOW(LOAD_YMM), LOW(STORE_YMM), "vzeroupper");
}

static void round_zmm(const void *in, void *out)
{
	unsigned long count = COUNT;

	ROUND(LOW(LOAD_ZMM) HIGH(LOAD_ZMM), LOW(STORE_ZMM) HIGH(STORE_ZMM), "vzeroupper");
}

static struct kind kind_here(void)
{
	if (__builtin_cpu_supports("avx512f"))
		return (struct kind){32, 64, round_zmm};
	if (__builtin_cpu_supports("avx"))
		return (struct kind){16, 32, round_ymm};
	return (struct kind){16, 16, round_xmm};
}

int main(int argc, char **argv)
{
	static uint8_t in[REGISTERS_MAX][BYTES_MAX], out[REGISTERS_MAX][BYTES_MAX];
	unsigned int seed = argc == 3 ? (unsigned int)atoi(argv[1]) : 0;
	unsigned int rounds = argc == 3 ? (unsigned int)atoi(argv[2]) : 0;
	struct kind kind = kind_here();

	for (unsigned int i = 0; i < kind.registers; i++)
		for (unsigned int j = 0; j < kind.bytes; j++)
			in[i][j] = (uint8_t)(seed * 97 + i * BYTES_MAX + j * 3 + i);
	for (unsigned int round = 0; round < rounds; round++) {
		memset(out, 0, sizeof(out));
		kind.round(in, out);
		for (unsigned int i = 0; i < kind.registers; i++)
			for (unsigned int j = 0; j < kind.bytes; j++) {
				if (in[i][j] == out[i][j])
					continue;
				printf("vectors: BAD seed=%u register=%u byte=%u round=%u\n", seed,
				       i, j, round);
				return 1;
			}
	}
	printf("vectors: OK seed=%u registers=%ux%u rounds=%u\n", seed, kind.registers, kind.bytes,
	       rounds);
	return 0;
}
