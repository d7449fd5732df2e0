/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boundary and random values in every register of every call: a documented answer, no register
 * but RAX changed, no page of the guest changed, nothing lost from the store. And the callers that
 * must be turned away: ring 3, and calls that are not ours.
 *
 * What must survive is a "treasure": pages under object ids that no random call uses, and canary
 * pages in RAM that only failing calls are aimed at.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define ROUNDS_DEFAULT 6000
#define TREASURES      8
#define CANARIES       8
#define WORDS	       (TIDEPOOL_PAGE_SIZE / 8)
#define PERSISTENT     (TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION)
#define RFLAGS_ONE     0x002

/* Frames that are no RAM of this guest: in the device hole, and behind all that exists. */
#define FRAME_HOLE   0xc0000ull
#define FRAME_IOAPIC 0xfec00ull
#define FRAME_LAPIC  0xfee00ull
#define FRAME_4G     0x100000ull

const char test_name[] = "badargs";

static uint64_t canary[CANARIES][WORDS] __attribute__((aligned(4096)));
static uint64_t scratch[WORDS] __attribute__((aligned(4096)));
static struct page_key treasure_key[TREASURES];
static uint64_t pool; /* holds the treasure */

static uint64_t frame_of(const void *page)
{
	return (uint64_t)page / TIDEPOOL_PAGE_SIZE;
}

static uint64_t word_of(uint64_t page, uint64_t i)
{
	return (page * WORDS + i + 1) * 0x9e3779b97f4a7c15;
}

static void fill(uint64_t *page, uint64_t number)
{
	for (uint64_t i = 0; i < WORDS; i++)
		page[i] = word_of(number, i);
}

static bool is_filled(const uint64_t *page, uint64_t number)
{
	for (uint64_t i = 0; i < WORDS; i++) {
		if (page[i] != word_of(number, i))
			return false;
	}
	return true;
}

static void bury_treasure(void)
{
	int64_t id = pool_new(PERSISTENT);

	if (id < 0) {
		test_error("no pool: %ld", id);
		test_finish();
	}
	pool = (uint64_t)id;
	for (uint64_t i = 0; i < TREASURES; i++) {
		treasure_key[i] = (struct page_key){{test_random(), test_random(), test_random()},
						    i};
		fill(scratch, i);
		CHECK_EQ(page_put(pool, &treasure_key[i], scratch), 0, "put");
	}
	for (uint64_t i = 0; i < CANARIES; i++)
		fill(canary[i], TREASURES + i);
}

static int64_t counters[TIDEPOOL_QUERY_COUNT];

static void read_counters(void)
{
	for (uint64_t i = 0; i < TIDEPOOL_QUERY_COUNT; i++)
		counters[i] = query(i);
}

/* A call that fails a check has not been counted either. */
static void check_counters(const char *when)
{
	for (uint64_t i = 0; i < TIDEPOOL_QUERY_COUNT; i++)
		CHECK(query(i) == counters[i], "%s: counter %lu has changed", when, i);
}

/* Nothing that was there before has changed. */
static void check_treasure(const char *when)
{
	for (uint64_t i = 0; i < TREASURES; i++) {
		memset(scratch, 0, sizeof(scratch));
		CHECK_EQ(page_get(pool, &treasure_key[i], scratch), 0, when);
		CHECK(is_filled(scratch, i), "%s: a stored page has changed", when);
	}
	for (uint64_t i = 0; i < CANARIES; i++)
		CHECK(is_filled(canary[i], TREASURES + i), "%s: a page of RAM has changed", when);
}

/* ---- single faults, one at a time ---- */

static void test_pools(void)
{
	const uint64_t bad[] = {TIDEPOOL_MAX_POOLS - 1,
				TIDEPOOL_MAX_POOLS,
				UINT64_MAX,
				1ull << 63,
				INT64_MAX,
				1ull << 32 | pool, /* the low half alone is right */
				1ull << 63 | pool,
				1ull << 16 | pool,
				pool + TIDEPOOL_MAX_POOLS};
	const struct page_key *key = &treasure_key[0];

	read_counters();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(page_put(bad[i], key, canary[0]), -TIDEPOOL_ENODEV, "put, no such pool");
		CHECK_EQ(page_get(bad[i], key, canary[0]), -TIDEPOOL_ENODEV, "get, no such pool");
		CHECK_EQ(page_flush(bad[i], key), -TIDEPOOL_ENODEV, "flush, no such pool");
		CHECK_EQ(object_flush(bad[i], key), -TIDEPOOL_ENODEV, "flush object, no such pool");
		CHECK_EQ(pool_destroy(bad[i]), -TIDEPOOL_ENODEV, "destroy, no such pool");
		CHECK_EQ(hypercall(TIDEPOOL_OP_PUT_PAGE, bad[i], 0, 0, 0, 0, FRAME_HOLE),
			 -TIDEPOOL_EFAULT,
			 "put, neither pool nor frame: the frame is checked first");
	}
	check_counters("behind bad pools");
	check_treasure("behind bad pools");
}

static void test_frames(void)
{
	const uint64_t ram = ram_bytes() / TIDEPOOL_PAGE_SIZE;
	const uint64_t bad[] = {ram,
				ram + 1,
				FRAME_HOLE,
				FRAME_IOAPIC,
				FRAME_LAPIC,
				FRAME_4G - 1,
				FRAME_4G,
				FRAME_4G + frame_of(canary[0]),
				1ull << 40,
				(1ull << 52) - 1, /* the last one whose address has 64 bits */
				1ull << 52,
				1ull << 52 | frame_of(canary[0]), /* right when shifted out */
				1ull << 63 | frame_of(canary[0]),
				UINT64_MAX};
	const struct page_key *key = &treasure_key[0];
	const struct page_key absent = {{1, 2, 3}, 4};

	read_counters();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(hypercall(TIDEPOOL_OP_PUT_PAGE, pool, key->oid[0], key->oid[1],
				   key->oid[2], key->index, bad[i]),
			 -TIDEPOOL_EFAULT, "put from a frame that is no RAM");
		CHECK_EQ(hypercall(TIDEPOOL_OP_PUT_PAGE, pool, absent.oid[0], absent.oid[1],
				   absent.oid[2], absent.index, bad[i]),
			 -TIDEPOOL_EFAULT, "put of a new key from a frame that is no RAM");
		CHECK_EQ(hypercall(TIDEPOOL_OP_GET_PAGE, pool, key->oid[0], key->oid[1],
				   key->oid[2], key->index, bad[i]),
			 -TIDEPOOL_EFAULT, "get into a frame that is no RAM");
	}
	check_counters("behind bad frames");
	CHECK_EQ(page_get(pool, &absent, canary[0]), -TIDEPOOL_ENOENT, "get behind failed puts");
	check_treasure("behind bad frames");
}

static void test_queries(void)
{
	static const uint64_t bad[] = {TIDEPOOL_QUERY_COUNT, 1ull << 32, 1ull << 63, UINT64_MAX};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(query(bad[i]), -TIDEPOOL_EINVAL, "query of what is not counted");
}

/* ---- ring 3 ---- */

static uint64_t call_from_user(void *regs)
{
	hypercall_regs(regs);
	return ((struct call_regs *)regs)->rax;
}

static void test_ring_3(void)
{
	struct call_regs foreign = {.rax = 1, .rflags = RFLAGS_ONE};

	read_counters();
	CHECK_EQ(user_run(call_from_user, &foreign), -TIDEPOOL_EPERM,
		 "call without the magic from ring 3");
	for (uint64_t op = 0; op <= TIDEPOOL_OP_COUNT; op++) {
		const struct page_key *key = &treasure_key[1];
		struct call_regs before = {.rax = TIDEPOOL_CALL(op),
					   .rdi = pool,
					   .rsi = key->oid[0],
					   .rdx = key->oid[1],
					   .rcx = key->oid[2],
					   .r8 = key->index,
					   .r9 = frame_of(canary[0]),
					   .rflags = RFLAGS_ONE};
		struct call_regs after = before;

		CHECK_EQ(user_run(call_from_user, &after), -TIDEPOOL_EPERM, "call from ring 3");
		after.rax = before.rax;
		CHECK(memcmp(&before, &after, sizeof(before)) == 0,
		      "operation %lu from ring 3 changed a register", op);
	}
	check_counters("behind calls from ring 3");
	check_treasure("behind calls from ring 3");
}

/* ---- everything at once ---- */

/* A value that some check somewhere may have forgotten. */
static uint64_t odd_value(void)
{
	static const uint64_t values[] = {
		0,	    1,		TIDEPOOL_MAX_POOLS, TIDEPOOL_PAGE_SIZE,
		0x7fffffff, 0x80000000, UINT32_MAX,	    1ull << 32,
		INT64_MAX,  1ull << 63, UINT64_MAX - 1,	    UINT64_MAX};
	uint64_t random = test_random();

	switch (random % 4) {
	case 0:
		return test_random();
	case 1:
		return 1ull << (random >> 8) % 64;
	default:
		return values[(random >> 8) % (sizeof(values) / sizeof(values[0]))];
	}
}

/* A frame for the page of a call: nowhere, or the scratch page, or (@certain_miss) a canary. */
static uint64_t odd_frame(bool certain_miss)
{
	uint64_t random = test_random();

	if (certain_miss && random % 2)
		return frame_of(canary[(random >> 8) % CANARIES]);
	if (random % 4 == 0)
		return frame_of(scratch);
	return FRAME_HOLE + odd_value() % (UINT64_MAX - FRAME_HOLE);
}

static bool is_documented(uint64_t op, int64_t result)
{
	switch (op) {
	case TIDEPOOL_OP_NULL:
		return result == TIDEPOOL_ABI_VERSION;
	case TIDEPOOL_OP_NEW_POOL:
		return (result >= 0 && result < TIDEPOOL_MAX_POOLS) || result == -TIDEPOOL_EINVAL ||
		       result == -TIDEPOOL_EPERM || result == -TIDEPOOL_ENOMEM;
	case TIDEPOOL_OP_DESTROY_POOL:
	case TIDEPOOL_OP_FLUSH_OBJECT:
		return result == 0 || result == -TIDEPOOL_ENODEV || result == -TIDEPOOL_EAGAIN;
	case TIDEPOOL_OP_PUT_PAGE:
		return result == 0 || result == -TIDEPOOL_ENODEV || result == -TIDEPOOL_EFAULT ||
		       result == -TIDEPOOL_ENOMEM || result == -TIDEPOOL_ENOSPC;
	case TIDEPOOL_OP_GET_PAGE:
		return result == 0 || result == -TIDEPOOL_ENODEV || result == -TIDEPOOL_EFAULT ||
		       result == -TIDEPOOL_ENOENT;
	case TIDEPOOL_OP_FLUSH_PAGE:
		return result == 0 || result == 1 || result == -TIDEPOOL_ENODEV;
	case TIDEPOOL_OP_QUERY:
		return result >= 0 || result == -TIDEPOOL_EINVAL;
	case TIDEPOOL_OP_NEW_PAGE:
		return result == 0 || result == -TIDEPOOL_ENODEV || result == -TIDEPOOL_ENOMEM ||
		       result == -TIDEPOOL_ENOSPC;
	case TIDEPOOL_OP_READ:
	case TIDEPOOL_OP_WRITE:
	case TIDEPOOL_OP_XCHG:
		return result == 0 || result == -TIDEPOOL_EINVAL || result == -TIDEPOOL_EFAULT ||
		       result == -TIDEPOOL_ENODEV || result == -TIDEPOOL_ENOENT ||
		       result == -TIDEPOOL_ENOMEM || result == -TIDEPOOL_ENOSPC;
	case TIDEPOOL_OP_FLUSH_RANGE:
		return result > 0 || result == -TIDEPOOL_EINVAL || result == -TIDEPOOL_ENODEV;
	case TIDEPOOL_OP_VECTOR:
	case TIDEPOOL_OP_GIVE_BLOCK:
		return result == -TIDEPOOL_EINVAL || result == -TIDEPOOL_EFAULT;
	case TIDEPOOL_OP_TAKE_BLOCK:
	case TIDEPOOL_OP_REPORT:
		return result == 0 || result == -TIDEPOOL_EINVAL || result == -TIDEPOOL_EFAULT;
	case TIDEPOOL_OP_TARGET:
		return result > 0;
	case TIDEPOOL_OP_MANAGE:
		return result == -TIDEPOOL_EPERM;
	default:
		return result == -TIDEPOOL_ENOSYS;
	}
}

/* One random call. The treasure's pool may be its target, the treasure's objects may not. */
static void random_call(void)
{
	uint64_t op = test_random() % (TIDEPOOL_OP_COUNT + 1);
	bool in_pool = test_random() % 2 && op != TIDEPOOL_OP_DESTROY_POOL;
	struct call_regs before, after;
	uint64_t *words = (uint64_t *)&before;
	int64_t result;

	for (size_t i = 0; i < sizeof(before) / sizeof(*words); i++)
		words[i] = odd_value();
	before.rax = TIDEPOOL_CALL(op);
	if (in_pool)
		before.rdi = pool;
	else if (before.rdi == pool)
		before.rdi++;
	/* a put only reads the frame; a get from another pool finds nothing */
	before.r9 = odd_frame(
		(op != TIDEPOOL_OP_GET_PAGE && op != TIDEPOOL_OP_READ && op != TIDEPOOL_OP_XCHG) ||
		!in_pool);
	if (op == TIDEPOOL_OP_FLUSH_RANGE)
		before.r9 = odd_value();
	/* random memory is no list of operations: the addresses are not RAM */
	if (op == TIDEPOOL_OP_VECTOR && before.rdi < FRAME_4G * TIDEPOOL_PAGE_SIZE)
		before.rdi = UINT64_MAX - before.rdi;
	/* whatever block is given, the test lies in it: it is no RAM */
	if (op == TIDEPOOL_OP_GIVE_BLOCK && before.rdi < FRAME_4G)
		before.rdi = UINT64_MAX - before.rdi;
	before.rflags = RFLAGS_ONE;

	after = before;
	hypercall_regs(&after);
	result = (int64_t)after.rax;
	if (!is_documented(op, result))
		test_failure("operation %lu (0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx): %ld", op,
			     before.rdi, before.rsi, before.rdx, before.rcx, before.r8, before.r9,
			     result);
	after.rax = before.rax;
	CHECK(memcmp(&before, &after, sizeof(before)) == 0, "operation %lu changed a register", op);
	if (op == TIDEPOOL_OP_NEW_POOL && result >= 0)
		CHECK_EQ(pool_destroy((uint64_t)result), 0, "destroy");
}

void test_main(void)
{
	uint64_t rounds = cmdline_number("rounds=", ROUNDS_DEFAULT);

	tidepool_require();
	bury_treasure();
	test_pools();
	test_frames();
	test_queries();
	test_ring_3();
	for (uint64_t i = 0; i < rounds; i++)
		random_call();
	check_treasure("behind random calls");
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), 0, "pages held at the end");
}
