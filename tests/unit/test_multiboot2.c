/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot_info_parse(): what GRUB passes is understood; what is malformed is refused with a reason,
 * and no byte beyond what was announced is ever read (AddressSanitizer watches: every input lies
 * in a heap buffer of exactly its length).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "boot/bootinfo.h"
#include "boot/multiboot2.h"
#include "core/errno.h"

#define BUILD_MAX 16384

/* The information under construction. */
static uint8_t build[BUILD_MAX];
static uint32_t build_len;

static struct boot_info info;
static const char *why;

static void build_bytes(const void *bytes, size_t len)
{
	assert_true(build_len + len <= sizeof(build));
	memcpy(build + build_len, bytes, len);
	build_len += (uint32_t)len;
}

static void build_begin(void)
{
	memset(build, 0, sizeof(build));
	build_len = sizeof(struct multiboot2_info);
}

static void build_pad(void)
{
	build_len = (build_len + 7u) & ~7u;
}

static void build_tag(uint32_t type, const void *body, size_t len)
{
	struct multiboot2_tag tag = {type, (uint32_t)(sizeof(tag) + len)};

	build_bytes(&tag, sizeof(tag));
	build_bytes(body, len);
	build_pad();
}

static void build_string(uint32_t type, const char *text)
{
	build_tag(type, text, strlen(text) + 1);
}

static void build_module(uint32_t start, uint32_t end, const char *words)
{
	uint8_t body[4096];
	size_t len = strlen(words) + 1;

	memcpy(body, &start, 4);
	memcpy(body + 4, &end, 4);
	memcpy(body + 8, words, len);
	build_tag(MULTIBOOT2_TAG_MODULE, body, 8 + len);
}

/* A memory map of @count entries of @entry_size bytes. */
static void build_mmap(const struct multiboot2_mmap_entry *entries, unsigned int count,
		       uint32_t entry_size)
{
	static uint8_t body[BUILD_MAX];
	uint32_t version = 0;

	memset(body, 0xee, sizeof(body));
	memcpy(body, &entry_size, 4);
	memcpy(body + 4, &version, 4);
	for (unsigned int i = 0; i < count; i++)
		memcpy(body + 8 + i * entry_size, &entries[i], sizeof(entries[i]));
	build_tag(MULTIBOOT2_TAG_MMAP, body, 8 + (size_t)count * entry_size);
}

static void build_one_range(void)
{
	struct multiboot2_mmap_entry entry = {0, 0x9fc00, 1, 0};

	build_mmap(&entry, 1, sizeof(entry));
}

static void build_end(void)
{
	struct multiboot2_info head = {0};

	build_tag(MULTIBOOT2_TAG_END, "", 0);
	head.total_size = build_len;
	memcpy(build, &head, sizeof(head));
}

/* Parses the first @len bytes from a heap buffer of that length. */
static int parse_prefix(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	why = NULL;
	err = boot_info_parse(MULTIBOOT2_BOOTLOADER_MAGIC, copy, len, &info, &why);
	free(copy);
	if (err)
		assert_int_equal(err, -EINVAL);
	assert_true((err == 0) == (why == NULL));
	return err;
}

static int parse(void)
{
	return parse_prefix(build, build_len);
}

/* The input is refused and the reason contains @text. */
static void assert_refused(const char *text)
{
	assert_int_equal(parse(), -EINVAL);
	if (!strstr(why, text))
		fail_msg("reason \"%s\" does not contain \"%s\"", why, text);
}

/* What GRUB passes on a PC, an EFI memory map and an unknown tag among it. */
static void build_typical(void)
{
	static const struct multiboot2_mmap_entry ranges[] = {
		{0, 0x9fc00, 1, 0},	     {0x9fc00, 0x400, 2, 0},
		{0x100000, 0x700000, 1, 0},  {0x800000, 0x800000, 1, 0}, /* continues the last */
		{0xfffc0000, 0x40000, 3, 0}, {0x100000000, 0, 1, 0},	 /* empty */
	};
	static const uint8_t efi_map[64];
	uint8_t rsdp[36];
	struct multiboot2_tag_framebuffer fb = {.base = 0xfd000000,
						.pitch = 4096,
						.width = 1024,
						.height = 768,
						.bpp = 32,
						.type = 1};

	build_begin();
	build_string(MULTIBOOT2_TAG_CMDLINE, "idle=poweroff");
	build_string(2, "GRUB 2.06");
	build_module(0x1000000, 0x1800000, "web kernel memory=64M -- console=ttyS0");
	build_module(0x2000000, 0x2000000, "web initrd");
	build_mmap(ranges, 6, sizeof(ranges[0]));
	build_tag(17, efi_map, sizeof(efi_map));
	build_tag(MULTIBOOT2_TAG_FRAMEBUFFER, &fb.base, sizeof(fb) - sizeof(fb.tag));
	memset(rsdp, 0x22, sizeof(rsdp));
	build_tag(MULTIBOOT2_TAG_ACPI_NEW, rsdp, 36);
	memset(rsdp, 0x11, sizeof(rsdp));
	build_tag(MULTIBOOT2_TAG_ACPI_OLD, rsdp, 20);
	build_tag(0xffffffff, "x", 1);
	build_end();
}

static void test_typical(void **state)
{
	(void)state;
	build_typical();
	assert_int_equal(parse(), 0);
	assert_string_equal(info.cmdline, "idle=poweroff");
	assert_int_equal(info.module_count, 2);
	assert_int_equal(info.modules[0].base, 0x1000000);
	assert_int_equal(info.modules[0].size, 0x800000);
	assert_string_equal(info.modules[0].words, "web kernel memory=64M -- console=ttyS0");
	assert_false(info.modules[0].cut);
	assert_int_equal(info.modules[1].size, 0);
	assert_int_equal(info.range_count, 4);
	assert_int_equal(info.ranges[1].kind, BOOT_MEMORY_OTHER);
	assert_int_equal(info.ranges[2].base, 0x100000);
	assert_int_equal(info.ranges[2].size, 0xf00000);
	assert_int_equal(info.ranges[2].kind, BOOT_MEMORY_RAM);
	assert_int_equal(info.rsdp_size, 36); /* the newer one wins, whichever comes first */
	assert_int_equal(info.rsdp[0], 0x22);
	assert_int_equal(info.framebuffer.kind, BOOT_SCREEN_PIXELS);
	assert_int_equal(info.framebuffer.base, 0xfd000000);
	assert_int_equal(info.framebuffer.pitch, 4096);
	assert_int_equal(info.framebuffer.width, 1024);
	assert_int_equal(info.framebuffer.height, 768);
	assert_int_equal(info.framebuffer.bpp, 32);
	assert_int_equal(info.info_size, build_len);
}

static void test_wrong_magic(void **state)
{
	(void)state;
	build_typical();
	assert_int_equal(boot_info_parse(0x2badb002, build, build_len, &info, &why), -EINVAL);
	assert_non_null(strstr(why, "multiboot2"));
}

/* Every shorter copy is refused, be the announced size the old one or the shorter one. */
static void test_truncated_everywhere(void **state)
{
	uint32_t whole;

	(void)state;
	build_typical();
	whole = build_len;
	for (uint32_t len = 0; len < whole; len++) {
		assert_int_equal(parse_prefix(build, len), -EINVAL);
		if (len >= 4) {
			memcpy(build, &len, 4);
			assert_int_equal(parse_prefix(build, len), -EINVAL);
			memcpy(build, &whole, 4);
		}
	}
	assert_int_equal(parse_prefix(build, whole), 0);
}

static void test_tag_sizes(void **state)
{
	static const uint32_t sizes[] = {0, 1, 7, 1u << 20, 0x7fffffff, 0xfffffff8, 0xffffffff};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		build_begin();
		build_tag(99, "abc", 4);
		build_one_range();
		build_end();
		memcpy(build + 12, &sizes[i], 4);
		assert_refused("a tag is shorter");
	}
}

static void test_end_tag_missing(void **state)
{
	uint32_t total;

	(void)state;
	build_begin();
	build_one_range();
	total = build_len;
	memcpy(build, &total, 4);
	assert_refused("end tag is missing");
}

static void test_strings(void **state)
{
	static char text[2000];

	(void)state;
	memset(text, 'a', sizeof(text));
	build_begin();
	build_tag(MULTIBOOT2_TAG_CMDLINE, text, 8); /* no terminator */
	build_one_range();
	build_end();
	assert_refused("command line tag");

	build_begin();
	build_tag(MULTIBOOT2_TAG_MODULE, text, 16);
	memset(build + 16, 0, 8); /* a good range, the string without end */
	build_one_range();
	build_end();
	assert_refused("module tag: the command line");

	for (size_t len = BOOT_STRING_MAX - 2; len <= BOOT_STRING_MAX + 1; len++) {
		bool fits = len < BOOT_STRING_MAX;

		memset(text, 'a', sizeof(text));
		text[len] = '\0';
		build_begin();
		build_string(MULTIBOOT2_TAG_CMDLINE, text);
		build_module(0, 1, text);
		build_one_range();
		build_end();
		assert_int_equal(parse(), 0);
		assert_int_equal(strlen(info.cmdline), fits ? len : BOOT_STRING_MAX - 1);
		assert_int_equal(strlen(info.modules[0].words), fits ? len : BOOT_STRING_MAX - 1);
		assert_int_equal(info.cmdline_cut, !fits);
		assert_int_equal(info.modules[0].cut, !fits);
	}
}

static void test_module_ranges(void **state)
{
	(void)state;
	build_begin();
	build_one_range();
	build_module(0x2000, 0x1fff, "web kernel");
	build_end();
	assert_refused("ends before it starts");

	build_begin();
	build_one_range();
	build_tag(MULTIBOOT2_TAG_MODULE, "1234567", 7);
	build_end();
	assert_refused("module tag: too short");

	for (unsigned int count = BOOT_MAX_MODULES; count <= BOOT_MAX_MODULES + 1; count++) {
		build_begin();
		build_one_range();
		for (unsigned int i = 0; i < count; i++)
			build_module(i, i, "x");
		build_end();
		if (count == BOOT_MAX_MODULES)
			assert_int_equal(parse(), 0);
		else
			assert_refused("more than 64");
	}
}

static void test_memory_map(void **state)
{
	static struct multiboot2_mmap_entry many[BOOT_MAX_RANGES + 1];
	struct multiboot2_mmap_entry entry = {0x1000, 0x1000, 1, 0};
	static const uint32_t bad_sizes[] = {0, 8, 16, 25, 0xfffffff8, 0xffffffff};

	(void)state;
	build_begin();
	build_end();
	assert_refused("missing or empty");

	build_begin();
	build_tag(MULTIBOOT2_TAG_MMAP, "1234567", 7);
	build_end();
	assert_refused("memory map tag: too short");

	for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++) {
		build_begin();
		build_mmap(&entry, 1, sizeof(entry));
		build_end();
		memcpy(build + 16, &bad_sizes[i], 4);
		assert_int_equal(parse(), -EINVAL);
	}

	build_begin(); /* bigger entries, as a later version may have */
	build_mmap((struct multiboot2_mmap_entry[]){entry, {0x5000, 0x1000, 2, 0}}, 2, 40);
	build_end();
	assert_int_equal(parse(), 0);
	assert_int_equal(info.range_count, 2);
	assert_int_equal(info.ranges[1].base, 0x5000);

	entry = (struct multiboot2_mmap_entry){UINT64_MAX - 0xfff, 0x1000, 2, 0};
	build_begin(); /* up to the last byte: good */
	build_mmap(&entry, 1, sizeof(entry));
	build_end();
	assert_int_equal(parse(), 0);
	entry.size++;
	build_begin();
	build_mmap(&entry, 1, sizeof(entry));
	build_end();
	assert_refused("beyond 2^64");

	/* Neighbours are one range, but not when its size would be 2^64. */
	build_begin();
	build_mmap((struct multiboot2_mmap_entry[]){{0, 1ull << 63, 2, 0},
						    {1ull << 63, 1ull << 63, 2, 0}},
		   2, sizeof(entry));
	build_end();
	assert_int_equal(parse(), 0);
	assert_int_equal(info.range_count, 2);
	assert_int_equal(info.ranges[0].size, 1ull << 63);
	assert_int_equal(info.ranges[1].size, 1ull << 63);

	for (unsigned int i = 0; i < BOOT_MAX_RANGES + 1; i++)
		many[i] = (struct multiboot2_mmap_entry){i * 0x10000ull, 0x1000, 1, 0};
	build_begin();
	build_mmap(many, BOOT_MAX_RANGES, sizeof(entry));
	build_end();
	assert_int_equal(parse(), 0);
	build_begin();
	build_mmap(many, BOOT_MAX_RANGES + 1, sizeof(entry));
	build_end();
	assert_refused("more than 128 ranges");
}

static void test_framebuffers(void **state)
{
	static const struct {
		struct multiboot2_tag_framebuffer fb;
		enum boot_screen kind;
	} cases[] = {
		{{.base = 0xb8000, .pitch = 160, .width = 80, .height = 25, .bpp = 16, .type = 2},
		 BOOT_SCREEN_TEXT},
		{{.base = 0xb8000, .pitch = 160, .width = 80, .height = 25, .bpp = 8, .type = 2},
		 BOOT_SCREEN_NONE},
		{{.base = 0xb8000, .pitch = 159, .width = 80, .height = 25, .bpp = 16, .type = 2},
		 BOOT_SCREEN_NONE},
		{{.base = 1, .pitch = 1024, .width = 1024, .height = 768, .bpp = 8, .type = 0},
		 BOOT_SCREEN_NONE},
		{{.base = 1, .pitch = 1920, .width = 1024, .height = 768, .bpp = 15, .type = 1},
		 BOOT_SCREEN_NONE},
		{{.base = 1, .pitch = 2048, .width = 1024, .height = 768, .bpp = 15, .type = 1},
		 BOOT_SCREEN_PIXELS},
		{{.base = 0, .pitch = 4096, .width = 1024, .height = 768, .bpp = 32, .type = 1},
		 BOOT_SCREEN_NONE},
		{{.base = 1, .pitch = 4095, .width = 1024, .height = 768, .bpp = 32, .type = 1},
		 BOOT_SCREEN_NONE},
		{{.base = 1, .pitch = 4096, .width = 0, .height = 768, .bpp = 32, .type = 1},
		 BOOT_SCREEN_NONE},
		{{.base = 1, .pitch = 4096, .width = 1024, .height = 0, .bpp = 32, .type = 1},
		 BOOT_SCREEN_NONE},
		{{.base = UINT64_MAX,
		  .pitch = 4096,
		  .width = 1024,
		  .height = 1,
		  .bpp = 32,
		  .type = 1},
		 BOOT_SCREEN_NONE},
		{{.base = 1,
		  .pitch = 4096,
		  .width = 0xffffffff,
		  .height = 1,
		  .bpp = 255,
		  .type = 1},
		 BOOT_SCREEN_NONE},
		{{.base = 1, .pitch = 4096, .width = 1024, .height = 768, .bpp = 32, .type = 1},
		 BOOT_SCREEN_PIXELS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build_begin();
		build_one_range();
		build_tag(MULTIBOOT2_TAG_FRAMEBUFFER, &cases[i].fb.base,
			  sizeof(cases[i].fb) - sizeof(cases[i].fb.tag));
		build_end();
		assert_int_equal(parse(), 0);
		assert_int_equal(info.framebuffer.kind, cases[i].kind);
		assert_int_equal(info.framebuffer.base, cases[i].kind ? cases[i].fb.base : 0);
	}
	build_begin();
	build_one_range();
	build_tag(MULTIBOOT2_TAG_FRAMEBUFFER, "short", 6);
	build_end();
	assert_refused("framebuffer tag: too short");
}

static void test_rsdp(void **state)
{
	static const uint8_t rsdp[36] = {1};

	(void)state;
	build_begin();
	build_one_range();
	build_tag(MULTIBOOT2_TAG_ACPI_OLD, rsdp, 20);
	build_end();
	assert_int_equal(parse(), 0);
	assert_int_equal(info.rsdp_size, 20);

	build_begin();
	build_one_range();
	build_tag(MULTIBOOT2_TAG_ACPI_OLD, rsdp, 19);
	build_end();
	assert_refused("ACPI tag");
	build_begin();
	build_one_range();
	build_tag(MULTIBOOT2_TAG_ACPI_NEW, rsdp, 35);
	build_end();
	assert_refused("ACPI tag");
}

/* Whatever is accepted keeps the promises of bootinfo.h. */
static void assert_sane(void)
{
	assert_in_range(info.range_count, 1, BOOT_MAX_RANGES);
	assert_in_range(info.module_count, 0, BOOT_MAX_MODULES);
	assert_true(memchr(info.cmdline, 0, BOOT_STRING_MAX) != NULL);
	for (uint32_t i = 0; i < info.module_count; i++)
		assert_true(memchr(info.modules[i].words, 0, BOOT_STRING_MAX) != NULL);
	for (uint32_t i = 0; i < info.range_count; i++) {
		assert_true(info.ranges[i].size > 0);
		assert_true(info.ranges[i].base + (info.ranges[i].size - 1) >= info.ranges[i].base);
	}
	assert_true(info.rsdp_size == 0 || info.rsdp_size == 20 || info.rsdp_size == 36);
}

/* Random changes of a good input, the seed fixed so that a failure repeats. */
static void test_mutations(void **state)
{
	static const uint32_t values[] = {0,	      1,	  7,	      8,	 24,
					  0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
	static uint8_t mutant[BUILD_MAX];
	unsigned int accepted = 0;

	(void)state;
	srand(1);
	build_typical();
	for (int round = 0; round < 50000; round++) {
		memcpy(mutant, build, build_len);
		for (int n = rand() % 4; n >= 0; n--) {
			uint32_t at = (uint32_t)rand() % build_len;

			if (rand() % 2)
				mutant[at] = (uint8_t)rand();
			else
				memcpy(mutant + (at & ~3u), &values[rand() % 9], 4);
		}
		if (parse_prefix(mutant, build_len) == 0) {
			assert_sane();
			accepted++;
		}
	}
	assert_in_range(accepted, 1000, 49000); /* both ways were walked */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_typical),
		cmocka_unit_test(test_wrong_magic),
		cmocka_unit_test(test_truncated_everywhere),
		cmocka_unit_test(test_tag_sizes),
		cmocka_unit_test(test_end_tag_missing),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_module_ranges),
		cmocka_unit_test(test_memory_map),
		cmocka_unit_test(test_framebuffers),
		cmocka_unit_test(test_rsdp),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
