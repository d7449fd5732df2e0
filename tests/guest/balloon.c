/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks of RAM given to the host and taken back: what the calls answer, what a given block looks
 * like, and that nobody reaches it any more, also while a second vCPU uses it all the time.
 *
 * Words: "rounds=" of the race; "write": give a block and write to it, which ends the guest.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/smp.h"
#include "tests/guest/lib/test.h"

#define ROUNDS_DEFAULT 60u
#define OTHER_ID       1u
#define PAGE	       TIDEPOOL_PAGE_SIZE
#define BLOCK	       ((uint64_t)TIDEPOOL_BLOCK_FRAMES * PAGE)
#define WORDS	       (PAGE / sizeof(uint64_t))
#define STRIDE	       8u /* of a block's words, one in a cache line is looked at */

/* Nothing of the test's own lies in these blocks. */
#define FIRST 4u
#define COUNT 4u

/* What is in the block of the race while the guest has it, and what is put when it has not. */
#define OURS   0x4f55525355525303ull
#define SECRET 0x5345435245542121ull

const char test_name[] = "balloon";

static uint64_t page[WORDS] __attribute__((aligned(4096)));
static uint64_t other_page[WORDS] __attribute__((aligned(4096)));
static struct tidepool_report report __attribute__((aligned(4096)));
static uint64_t pool;
static const struct page_key key = {{1, 2, 3}, 4};

/* Written by the other vCPU. */
static volatile uint64_t other_rounds, other_wrong;
/* Written by the first. */
static volatile bool stop;

static volatile uint64_t *block_at(uint64_t number)
{
	return (volatile uint64_t *)(number * BLOCK);
}

static int64_t call(uint64_t op, uint64_t argument)
{
	return hypercall(op, argument, 0, 0, 0, 0, 0);
}

static int64_t move(uint64_t op, uint64_t number)
{
	int64_t result;

	do {
		result = call(op, number * TIDEPOOL_BLOCK_FRAMES);
	} while (result == -TIDEPOOL_EAGAIN);
	return result;
}

static int64_t give(uint64_t number)
{
	return move(TIDEPOOL_OP_GIVE_BLOCK, number);
}

static int64_t take(uint64_t number)
{
	return move(TIDEPOOL_OP_TAKE_BLOCK, number);
}

static void fill(uint64_t number, uint64_t word)
{
	for (uint64_t i = 0; i < BLOCK / sizeof(word); i += STRIDE)
		block_at(number)[i] = word;
}

/* How many of a block's words are something else. */
static uint64_t count_other(uint64_t number, uint64_t word)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < BLOCK / sizeof(word); i += STRIDE)
		count += block_at(number)[i] != word;
	return count;
}

static void test_arguments(void)
{
	uint64_t frames = ram_bytes() / PAGE;
	const uint64_t unaligned[] = {1, TIDEPOOL_BLOCK_FRAMES - 1,
				      FIRST * TIDEPOOL_BLOCK_FRAMES + 1, UINT64_MAX,
				      (1ull << 52) + 1};
	const uint64_t nowhere[] = {frames,
				    0xc0000,
				    0xfec00,
				    0x100000,
				    1ull << 40,
				    1ull << 52,
				    1ull << 52 | FIRST * TIDEPOOL_BLOCK_FRAMES,
				    1ull << 63 | FIRST * TIDEPOOL_BLOCK_FRAMES,
				    UINT64_MAX - (TIDEPOOL_BLOCK_FRAMES - 1)};

	for (uint64_t op = TIDEPOOL_OP_GIVE_BLOCK; op <= TIDEPOOL_OP_TAKE_BLOCK; op++) {
		for (size_t i = 0; i < sizeof(unaligned) / sizeof(unaligned[0]); i++)
			CHECK_EQ(call(op, unaligned[i]), -TIDEPOOL_EINVAL, "part of a block");
		for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
			CHECK_EQ(call(op, nowhere[i]), -TIDEPOOL_EFAULT, "block that is no RAM");
	}
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
		CHECK_EQ(call(TIDEPOOL_OP_REPORT, nowhere[i]), -TIDEPOOL_EFAULT,
			 "report that is in no RAM");
	CHECK_EQ(call(TIDEPOOL_OP_REPORT, (uint64_t)&report / PAGE), 0, "report");
	CHECK_EQ(call(TIDEPOOL_OP_TARGET, 0), ram_bytes() / BLOCK, "target of a guest left alone");
	CHECK_EQ(call(TIDEPOOL_OP_REPORT, TIDEPOOL_REPORT_NONE), 0, "end of the report");
}

/* Every call that names a frame of a given block. */
static void check_frames(uint64_t number)
{
	uint64_t frame = number * TIDEPOOL_BLOCK_FRAMES + 7;
	uint64_t address = number * BLOCK + 64;

	for (uint64_t op = TIDEPOOL_OP_PUT_PAGE; op <= TIDEPOOL_OP_XCHG; op++) {
		struct call_regs regs = {.rax = TIDEPOOL_CALL(op),
					 .rdi = pool,
					 .r9 = frame,
					 .r10 = TIDEPOOL_SPAN(8, 0, 0)};

		if (op == TIDEPOOL_OP_FLUSH_PAGE || op == TIDEPOOL_OP_FLUSH_OBJECT)
			continue;
		hypercall_regs(&regs);
		CHECK(regs.rax == (uint64_t)-TIDEPOOL_EFAULT, "operation %lu on a given frame: %ld",
		      op, (int64_t)regs.rax);
	}
	CHECK_EQ(hypercall(TIDEPOOL_OP_VECTOR, address, 1, 0, 0, 0, 0), -TIDEPOOL_EFAULT,
		 "descriptors in a given block");
	CHECK_EQ(call(TIDEPOOL_OP_REPORT, frame), -TIDEPOOL_EFAULT, "report in a given block");
}

static void test_block(uint64_t number)
{
	fill(number, OURS);
	CHECK_EQ(take(number), 0, "take of what was not given");
	CHECK_EQ(count_other(number, OURS), 0, "words changed by it");
	CHECK_EQ(give(number), 0, "give");
	CHECK_EQ(count_other(number, 0), 0, "words of a given block that are not 0");
	check_frames(number);
	CHECK_EQ(give(number), 0, "give of what is given");
	CHECK_EQ(take(number), 0, "take");
	CHECK_EQ(count_other(number, 0), 0, "words of a block taken back that are not 0");
	fill(number, OURS + number);
	CHECK_EQ(take(number), 0, "take again");
}

/* All of them at once; each comes back as a block of its own. */
static void test_blocks(void)
{
	for (uint64_t i = FIRST; i < FIRST + COUNT; i++)
		test_block(i);
	for (uint64_t i = FIRST; i < FIRST + COUNT; i++)
		CHECK_EQ(count_other(i, OURS + i), 0, "words changed by the blocks behind");
	for (uint64_t i = FIRST; i < FIRST + COUNT; i++)
		CHECK_EQ(give(i), 0, "give one of several");
	for (uint64_t i = FIRST + COUNT; i-- > FIRST;)
		CHECK_EQ(take(i), 0, "take one of several");
}

/* ---- the race -----------------------------------------------------------------------------------
 */

/*
 * Puts from the block, gets into it, and looks at it, without end. What it may see is what the
 * first vCPU wrote there, zeroes, and what it got itself.
 */
static void use_block(void)
{
	const struct page_key put_key = {{9, 9, 9}, 1}, get_key = {{9, 9, 9}, 2};
	uint64_t n = 0;

	/* For Bochs 2.7, where nothing can be asked of a CPU whose guest keeps interrupts off. */
	__asm__ volatile("sti");
	while (!stop) {
		uint64_t *frame =
			(uint64_t *)(FIRST * BLOCK + n++ * 13 % TIDEPOOL_BLOCK_FRAMES * PAGE);
		int64_t put = page_put(pool, &put_key, frame);
		int64_t got = page_get(pool, &get_key, frame);
		uint64_t seen = *(volatile uint64_t *)&frame[n % WORDS];

		if ((put != 0 && put != -TIDEPOOL_EFAULT) || (got != 0 && got != -TIDEPOOL_EFAULT))
			other_wrong++;
		if (seen != OURS && seen != 0)
			other_wrong++;
		if (put == 0 && page_get(pool, &put_key, other_page) == 0) {
			for (unsigned int i = 0; i < WORDS; i++)
				other_wrong += other_page[i] != OURS && other_page[i] != 0;
		}
		other_rounds++;
	}
}

/* What the store has in the block's place: pages that differ, so that each takes a frame. */
static void put_secrets(bool check)
{
	for (uint64_t i = 0; i < TIDEPOOL_BLOCK_FRAMES; i++) {
		const struct page_key secret_key = {{5, 5, 5}, i};

		for (unsigned int w = 0; w < WORDS; w++)
			page[w] = SECRET + i * WORDS + w;
		if (!check) {
			CHECK_EQ(page_put(pool, &secret_key, page), 0, "put of a secret");
			continue;
		}
		CHECK_EQ(page_get(pool, &secret_key, page), 0, "get of a secret");
		for (unsigned int w = 0; w < WORDS; w++) {
			if (page[w] != SECRET + i * WORDS + w) {
				test_failure("page %lu in a given block was written to", i);
				break;
			}
		}
		CHECK_EQ(page_flush(pool, &secret_key), 1, "flush of a secret");
	}
}

static void test_race(uint64_t rounds)
{
	const struct page_key get_key = {{9, 9, 9}, 2};
	uint64_t before;

	for (unsigned int i = 0; i < WORDS; i++)
		page[i] = OURS;
	CHECK_EQ(page_put(pool, &get_key, page), 0, "put of what the other vCPU gets");
	fill(FIRST, OURS);
	apic_use_x2apic();
	smp_start(OTHER_ID, use_block);
	while (!other_rounds)
		__asm__ volatile("pause");
	for (uint64_t round = 0; round < rounds; round++) {
		CHECK_EQ(give(FIRST), 0, "give of a block that is in use");
		if (round % 8 == 0)
			put_secrets(false);
		for (before = other_rounds; other_rounds < before + 3;)
			__asm__ volatile("pause");
		if (round % 8 == 0)
			put_secrets(true);
		CHECK_EQ(take(FIRST), 0, "take of a block that is in use");
		for (unsigned int i = 0; i < BLOCK / 8; i += 64)
			block_at(FIRST)[i] = OURS;
	}
	before = other_rounds;
	while (other_rounds < before + 3)
		__asm__ volatile("pause");
	stop = true;
	CHECK_EQ(other_wrong, 0, "what the other vCPU found that is neither the guest's nor 0");
	print("balloon: %lu rounds of the other vCPU\n", other_rounds);
}

void test_main(void)
{
	int64_t id;

	tidepool_require();
	if (!(cpuid(tidepool_base() + TIDEPOOL_CPUID_VERSION, 0).ebx & TIDEPOOL_FEATURE_BALLOON))
		test_failure("the feature bit is not set");
	id = pool_new(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);
	if (id < 0) {
		test_error("no pool: %ld", id);
		test_finish();
	}
	pool = (uint64_t)id;
	CHECK_EQ(page_put(pool, &key, page), 0, "put");
	if (cmdline_has("write")) {
		CHECK_EQ(give(FIRST), 0, "give");
		block_at(FIRST)[1] = 1;
		test_failure("wrote to a given block");
		return;
	}
	test_arguments();
	test_blocks();
	test_race(cmdline_number("rounds=", ROUNDS_DEFAULT));
}
