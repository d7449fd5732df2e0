/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_parse(): every fault is told in one sentence that names the module and the word, costs
 * its own guest only, and what is right is taken as written.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "core/config.h"
#include "core/console.h"

#define MAX_SENTENCES 80

static struct boot_info boot;
static struct config config;
static char sentences[MAX_SENTENCES][512];
static int sentence_count;

/* The hypervisor's own is made for a kernel without libc; the host's does the same. */
int format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return len;
}

static void report(const char *sentence)
{
	assert_true(sentence_count < MAX_SENTENCES);
	snprintf(sentences[sentence_count++], sizeof(sentences[0]), "%s", sentence);
}

static void begin(void)
{
	memset(&boot, 0, sizeof(boot));
	sentence_count = 0;
}

/* What a kernel line may have. */
#define OPTIONS                                                                                     \
	"memory=, vcpus=, cpus=, weight=, tmem=, tmem_reserve=, tmem_weight=, compress=, refuse=, " \
	"on_reset=, on_crash=, manager, testdev, dedup=, shared=, or -- and the kernel's "          \
	"command line"

static struct boot_module *module(const char *words)
{
	struct boot_module *added = &boot.modules[boot.module_count++];

	snprintf(added->words, sizeof(added->words), "%s", words);
	return added;
}

static void parse(void)
{
	int faults = config_parse(&boot, &config, report);

	assert_int_equal(faults, sentence_count);
}

/* One line, one sentence, no guest. */
static void assert_fault(const char *words, const char *sentence)
{
	begin();
	module(words);
	parse();
	assert_int_equal(sentence_count, 1);
	assert_string_equal(sentences[0], sentence);
	assert_int_equal(config.guest_count, 0);
}

static void test_good_lines(void **state)
{
	(void)state;
	begin();
	module("web  kernel memory=512M\tvcpus=16 cpus=0-2,5,63 weight=2 tmem=256M "
	       "tmem_reserve=64M tmem_weight=3 compress=off refuse=7 "
	       "on_reset=stop on_crash=restart manager testdev --  console=ttyS0  quiet -- x");
	module("db-1_x kernel");
	module("web initrd");
	strcpy(boot.cmdline, " idle=poweroff apicv=off mitigations=off nmi=panic ");
	parse();
	assert_int_equal(sentence_count, 0);
	assert_int_equal(config.guest_count, 2);
	assert_int_equal(config.when_idle, CONFIG_IDLE_POWEROFF);
	assert_int_equal(config.apicv, CONFIG_APICV_OFF);
	assert_true(config.mitigations_off);
	assert_true(config.nmi_panic);

	assert_string_equal(config.guests[0].name, "web");
	assert_ptr_equal(config.guests[0].kernel, &boot.modules[0]);
	assert_ptr_equal(config.guests[0].initrd, &boot.modules[2]);
	assert_string_equal(config.guests[0].cmdline, "console=ttyS0  quiet -- x");
	assert_int_equal(config.guests[0].memory, 512 * MIB);
	assert_int_equal(config.guests[0].vcpus, 16);
	assert_true(config.guests[0].cpus == (0x27 | 1ull << 63));
	assert_int_equal(config.guests[0].weight, 2);
	assert_int_equal(config.guests[0].tmem_cap, 256 * MIB);
	assert_int_equal(config.guests[0].tmem_reserve, 64 * MIB);
	assert_int_equal(config.guests[0].tmem_weight, 3);
	assert_false(config.guests[0].compress);
	assert_int_equal(config.guests[0].refuse, 7);
	assert_int_equal(config.guests[0].on_reset, CONFIG_STOP);
	assert_int_equal(config.guests[0].on_crash, CONFIG_RESTART);
	assert_true(config.guests[0].testdev);

	assert_string_equal(config.guests[1].name, "db-1_x");
	assert_null(config.guests[1].initrd);
	assert_string_equal(config.guests[1].cmdline, "");
	assert_int_equal(config.guests[1].memory, CONFIG_MEMORY_DEFAULT);
	assert_int_equal(config.guests[1].vcpus, 1);
	assert_true(config.guests[1].cpus == 0);
	assert_int_equal(config.guests[1].weight, 1);
	assert_true(config.guests[1].tmem_cap == UINT64_MAX);
	assert_int_equal(config.guests[1].tmem_reserve, 0);
	assert_int_equal(config.guests[1].tmem_weight, 1);
	assert_true(config.guests[1].compress);
	assert_int_equal(config.guests[1].refuse, 0);
	assert_int_equal(config.guests[1].on_reset, CONFIG_RESTART);
	assert_int_equal(config.guests[1].on_crash, CONFIG_STOP);
	assert_false(config.guests[1].testdev);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *words;
		uint64_t memory;
	} good[] = {
		{"a kernel memory=4M", 4 * MIB},	   {"a kernel memory=4194304", 4 * MIB},
		{"a kernel memory=6144K", 6 * MIB},	   {"a kernel memory=6144k", 6 * MIB},
		{"a kernel memory=512G", 512 * GIB},	   {"a kernel memory=1g", GIB},
		{"a kernel memory=0000000064m", 64 * MIB},
	};
	static const char *const bad[] = {
		"memory=0",
		"memory=",
		"memory=M",
		"memory=12x",
		"memory=-4M",
		"memory=3M",
		"memory=2M",
		"memory=4194305",
		"memory=513G",
		"memory=0x40M",
		"memory=64MB",
		"memory=64MM",
		"memory=+64M",
		"memory=6.5M",
		"memory=twelve",
		"memory=17179869184G",
		"memory=18446744073713745920", /* 2^64 + 4 MiB */
		"memory=99999999999999999999999999",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		begin();
		module(good[i].words);
		parse();
		assert_int_equal(config.guest_count, 1);
		assert_int_equal(config.guests[0].memory, good[i].memory);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char words[128], sentence[256];

		snprintf(words, sizeof(words), "web kernel %s", bad[i]);
		snprintf(sentence, sizeof(sentence),
			 "module 1 (web): \"%s\": expected a size from 4M to 512G in steps of 2M",
			 bad[i]);
		assert_fault(words, sentence);
	}
	assert_fault("web kernel tmem_reserve=513G",
		     "module 1 (web): \"tmem_reserve=513G\": expected a size up to 512G");
	assert_fault("web kernel tmem_weight=0",
		     "module 1 (web): \"tmem_weight=0\": expected a number from 1 to 100");
	begin();
	module("a kernel tmem=0");
	parse();
	assert_int_equal(config.guest_count, 1);
	assert_int_equal(config.guests[0].tmem_cap, 0);
}

static void test_cpu_sets(void **state)
{
	static const struct {
		const char *words;
		uint64_t cpus;
	} good[] = {
		{"a kernel cpus=0", 0x1},	    {"a kernel cpus=7", 0x80},
		{"a kernel cpus=1-1", 0x2},	    {"a kernel cpus=3,1", 0xa},
		{"a kernel cpus=4-5,0-2", 0x37},    {"a kernel cpus=63", 1ull << 63},
		{"a kernel cpus=0-63", UINT64_MAX},
	};
	static const char *const bad[] = {
		"cpus=",
		"cpus=,",
		"cpus=0,",
		"cpus=,0",
		"cpus=-",
		"cpus=-1",
		"cpus=1-",
		"cpus=3-1",
		"cpus=0-64",
		"cpus=64",
		"cpus=1,1",
		"cpus=0-2,1",
		"cpus=all",
		"cpus=0x1",
		"cpus=1K",
		"cpus=0-1-2",
		"cpus=18446744073709551616",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		begin();
		module(good[i].words);
		parse();
		assert_int_equal(config.guest_count, 1);
		assert_true(config.guests[0].cpus == good[i].cpus);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char words[128], sentence[256];

		snprintf(words, sizeof(words), "web kernel %s", bad[i]);
		snprintf(sentence, sizeof(sentence),
			 "module 1 (web): \"%s\": expected CPUs from 0 to 63, each once, such as "
			 "0-3 or 0,2",
			 bad[i]);
		assert_fault(words, sentence);
	}
}

static void test_sentences(void **state)
{
	(void)state;
	assert_fault("", "module 1: no words; expected a guest's name and kernel, initrd or disk");
	assert_fault(" \t ",
		     "module 1: no words; expected a guest's name and kernel, initrd or disk");
	assert_fault("web", "module 1 (web): no kind; expected kernel, initrd or disk");
	assert_fault("web kernl", "module 1 (web): \"kernl\": expected kernel, initrd or disk");
	assert_fault("web kernel quiet", "module 1 (web): \"quiet\": expected " OPTIONS);
	assert_fault("web kernel memory", "module 1 (web): \"memory\": expected " OPTIONS);
	assert_fault("web kernel testdev=1", "module 1 (web): \"testdev=1\": expected " OPTIONS);
	assert_fault("web kernel testdev testdev",
		     "module 1 (web): \"testdev\": given twice; expected it once a line");
	assert_fault("web kernel compress=yes",
		     "module 1 (web): \"compress=yes\": expected on or off");
	assert_fault("web kernel dedup=a,b",
		     "module 1 (web): \"dedup=a,b\": expected off, or a group's name: at most 15 "
		     "letters, digits, - and _");
	assert_fault("web kernel dedup=images tmem_reserve=1M",
		     "module 1 (web): \"kernel\": expected either tmem_reserve= or the name of a "
		     "group behind dedup=");
	assert_fault("web kernel on_crash=reboot",
		     "module 1 (web): \"on_crash=reboot\": expected restart or stop");
	assert_fault("web kernel on_reset=",
		     "module 1 (web): \"on_reset=\": expected restart or stop");
	assert_fault("web kernel vcpus=0", "module 1 (web): \"vcpus=0\": expected a number from 1 "
					   "to "
					   "16");
	assert_fault("web kernel vcpus=1K",
		     "module 1 (web): \"vcpus=1K\": expected a number from 1 to 16");
	assert_fault("web kernel weight=101",
		     "module 1 (web): \"weight=101\": expected a number from 1 to 100");
	assert_fault("web kernel tmem=lots", "module 1 (web): \"tmem=lots\": expected a number of "
					     "bytes, K, M or G allowed behind it");
	assert_fault("web kernel weight=1 weight=2",
		     "module 1 (web): \"weight=2\": given twice; expected it once a line");
	assert_fault(
		"sixteen-letters- kernel",
		"module 1 (sixteen-letters-): \"sixteen-letters-\": expected a guest's name: at "
		"most 15 letters, digits, - and _");
	assert_fault("we/b kernel",
		     "module 1 (we/b): \"we/b\": expected a guest's name: at most 15 "
		     "letters, digits, - and _");
	assert_fault("web initrd",
		     "module 1 (web): \"initrd\": no kernel for this guest; expected a "
		     "module line with its name and the word kernel");
}
/* As module(), for a disk: the size of the file counts. */
static struct boot_module *disk_module(const char *words)
{
	struct boot_module *added = module(words);

	added->size = MIB;
	return added;
}

static void test_disks(void **state)
{
	(void)state;
	begin();
	module("web kernel");
	disk_module("web disk");
	disk_module("web,db disk ro delay=200us");
	disk_module("web disk delay=1000ms");
	module("db kernel");
	parse();
	assert_int_equal(sentence_count, 0);
	assert_int_equal(config.guest_count, 2);
	assert_int_equal(config.guests[0].disk_count, 3);
	assert_ptr_equal(config.guests[0].disks[0].module, &boot.modules[1]);
	assert_false(config.guests[0].disks[0].read_only);
	assert_int_equal(config.guests[0].disks[0].image, 0);
	assert_int_equal(config.guests[0].disks[0].delay_ns, 0);
	assert_true(config.guests[0].disks[1].read_only);
	assert_int_equal(config.guests[0].disks[1].delay_ns, 200000);
	assert_int_equal(config.guests[0].disks[2].delay_ns, 1000000000);
	assert_int_equal(config.guests[0].disks[1].image, 3); /* the line's number */
	assert_int_equal(config.guests[1].disks[0].image, 3);
	assert_int_equal(config.guests[1].disk_count, 1);
	assert_ptr_equal(config.guests[1].disks[0].module, &boot.modules[2]);
	assert_true(config.guests[1].disks[0].read_only);
}

/* A line for a disk in front of a good guest; what is said of it. Returns the guests that start. */
static unsigned int disk_fault(const char *words, const char *sentence)
{
	begin();
	disk_module(words);
	module("db kernel");
	parse();
	assert_int_equal(sentence_count, 1);
	assert_string_equal(sentences[0], sentence);
	return config.guest_count;
}

static void test_disk_faults(void **state)
{
	static const char *const delays[] = {
		"delay=",     "delay=us",   "delay=5",	    "delay=5s",
		"delay=-1us", "delay=1us2", "delay=1001ms", "delay=18446744073709551615ms",
	};
	char words[64], sentence[160];

	(void)state;
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		snprintf(words, sizeof(words), "web disk %s", delays[i]);
		snprintf(sentence, sizeof(sentence),
			 "module 1 (web): \"%s\": expected once a time up to 1000ms, such as 200us",
			 delays[i]);
		assert_int_equal(disk_fault(words, sentence), 1);
	}
	disk_fault(
		"web disk delay=1us delay=1us",
		"module 1 (web): \"delay=1us\": expected once a time up to 1000ms, such as 200us");
	disk_fault("web disk ro ro", "module 1 (web): \"ro\": expected ro or delay=, each once");
	disk_fault("web disk rw", "module 1 (web): \"rw\": expected ro or delay=, each once");
	disk_fault("web disk", "module 1 (web): \"disk\": no kernel for this guest; expected a "
			       "module line with its name and the word kernel");
	disk_fault(",db disk ro",
		   "module 1: expected a guest's name: at most 15 letters, digits, - "
		   "and _");
}

/* A disk that can be written has one guest: both are out, each with a sentence. */
static void test_shared_disks(void **state)
{
	(void)state;
	begin();
	module("web kernel");
	module("db kernel");
	module("other kernel");
	disk_module("web,db disk");
	parse();
	assert_int_equal(sentence_count, 2);
	assert_string_equal(sentences[0], "module 4 (web): \"disk\": several guests can only read "
					  "a disk; expected the word ro");
	assert_string_equal(sentences[1], "module 4 (db): \"disk\": several guests can only read a "
					  "disk; expected the word ro");
	assert_int_equal(config.guest_count, 1);
	assert_string_equal(config.guests[0].name, "other");

	begin();
	module("web,db kernel");
	parse();
	assert_int_equal(sentence_count, 2);
	assert_string_equal(sentences[1], "module 1 (db): \"kernel\": expected disk, with several "
					  "guests' names");
	assert_int_equal(config.guest_count, 0);
}

static void test_disk_limits(void **state)
{
	(void)state;
	begin();
	module("web kernel");
	for (unsigned int i = 0; i < CONFIG_MAX_DISKS; i++)
		disk_module("web disk");
	parse();
	assert_int_equal(sentence_count, 0);
	disk_module("web disk");
	parse();
	assert_int_equal(sentence_count, 1);
	assert_string_equal(sentences[0], "module 9 (web): \"disk\": one disk too many for this "
					  "guest; expected at most 7");

	begin();
	module("web kernel");
	disk_module("web disk")->size = 511;
	parse();
	assert_int_equal(sentence_count, 1);
	assert_string_equal(sentences[0],
			    "module 2 (web): \"disk\": the file is too short for a disk; expected "
			    "at least one sector, 512 bytes");
}
_Static_assert(CONFIG_MAX_VCPUS == 16, "test_sentences() expects this limit in its sentences");

static void test_two_of_a_kind(void **state)
{
	(void)state;
	begin();
	module("web kernel");
	module("other kernel");
	module("web kernel memory=64M");
	parse();
	assert_int_equal(sentence_count, 1);
	assert_string_equal(sentences[0], "module 3 (web): \"kernel\": a second kernel for this "
					  "guest; expected one");
	assert_int_equal(config.guest_count, 1);
	assert_string_equal(config.guests[0].name, "other");

	begin();
	module("web kernel");
	module("web initrd");
	module("web initrd");
	parse();
	assert_int_equal(sentence_count, 1);
	assert_string_equal(sentences[0], "module 3 (web): \"initrd\": a second initrd for this "
					  "guest; expected at most one");
	assert_int_equal(config.guest_count, 0);

	begin();
	module("web kernel");
	module("web initrd gz");
	parse();
	assert_int_equal(sentence_count, 1);
	assert_string_equal(sentences[0],
			    "module 2 (web): \"gz\": expected nothing after the word initrd");
	assert_int_equal(config.guest_count, 0);
}

/* A fault costs its own guest; the others keep their order; all faults of a line are told. */
static void test_others_start(void **state)
{
	(void)state;
	begin();
	module("one kernel memory=0 weight=0");
	module("two kernel weight=3");
	module("");
	module("three initrd");
	module("four kernel");
	module("one initrd");
	module("five kernl");
	module("five initrd");
	parse();
	assert_int_equal(sentence_count, 5);
	assert_non_null(strstr(sentences[0], "module 1 (one): \"memory=0\""));
	assert_non_null(strstr(sentences[1], "module 1 (one): \"weight=0\""));
	assert_non_null(strstr(sentences[2], "module 3: "));
	assert_non_null(strstr(sentences[3], "module 7 (five): \"kernl\""));
	assert_non_null(strstr(sentences[4], "module 4 (three): \"initrd\""));
	assert_int_equal(config.guest_count, 2);
	assert_string_equal(config.guests[0].name, "two");
	assert_int_equal(config.guests[0].weight, 3);
	assert_string_equal(config.guests[1].name, "four");
}

static void test_too_many_guests(void **state)
{
	(void)state;
	begin();
	for (int i = 0; i <= CONFIG_MAX_GUESTS; i++) {
		char words[32];

		snprintf(words, sizeof(words), "guest%d kernel", i);
		module(words);
	}
	parse();
	assert_int_equal(sentence_count, 1);
	assert_string_equal(sentences[0],
			    "module 33 (guest32): \"guest32\": expected no more than 32 guests");
	assert_int_equal(config.guest_count, CONFIG_MAX_GUESTS);
}

static void test_long_lines(void **state)
{
	char words[BOOT_STRING_MAX];

	(void)state;
	begin();
	module("web kernel -- console=ttyS0")->cut = true;
	parse();
	assert_int_equal(sentence_count, 1);
	assert_string_equal(sentences[0], "module 1 (web): the line is too long; expected at most "
					  "1023 characters");
	assert_int_equal(config.guest_count, 0);

	/* One endless word: quoted only in part, in every place that a word can have. */
	memset(words, 'x', sizeof(words));
	words[sizeof(words) - 1] = '\0';
	for (int i = 0; i < 3; i++) {
		static const char *const before[] = {"", "web ", "web kernel "};

		begin();
		memcpy(words, before[i], strlen(before[i]));
		module(words);
		parse();
		assert_int_equal(sentence_count, 1);
		assert_true(strlen(sentences[0]) < 300);
		assert_int_equal(config.guest_count, 0);
	}
}

static void test_boot_line(void **state)
{
	(void)state;
	begin();
	module("web kernel");
	strcpy(boot.cmdline, "idle=halt idel=poweroff idle=now apicv=on");
	parse();
	assert_int_equal(sentence_count, 2);
	assert_int_equal(config.apicv, CONFIG_APICV_ON);
	assert_string_equal(
		sentences[0],
		"boot line: \"idel=poweroff\": ignored; expected idle=halt, "
		"idle=poweroff, apicv=off, apicv=on, mitigations=off, nmi=panic or pool=");
	assert_string_equal(
		sentences[1],
		"boot line: \"idle=now\": ignored; expected idle=halt, "
		"idle=poweroff, apicv=off, apicv=on, mitigations=off, nmi=panic or pool=");
	assert_int_equal(config.when_idle, CONFIG_IDLE_HALT);
	assert_int_equal(config.guest_count, 1);

	begin();
	strcpy(boot.cmdline, "idle=poweroff ");
	boot.cmdline_cut = true;
	parse();
	assert_int_equal(sentence_count, 1);
	assert_string_equal(sentences[0], "boot line: \"idle=poweroff\": the line is cut here; "
					  "expected at most 1023 characters");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_lines),	cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_cpu_sets),	cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_disks),		cmocka_unit_test(test_disk_faults),
		cmocka_unit_test(test_shared_disks),	cmocka_unit_test(test_disk_limits),
		cmocka_unit_test(test_two_of_a_kind),	cmocka_unit_test(test_others_start),
		cmocka_unit_test(test_too_many_guests), cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_boot_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
