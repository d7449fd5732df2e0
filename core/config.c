/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Understands the boot line and the module lines. Every fault becomes one sentence of the form
 *
 *   module 2 (web): "memory=0": expected a size from 4M to 512G in steps of 2M
 *
 * so that a person can find the line, the word, and what to write instead.
 */
#include "core/config.h"
#include "core/config_shared.h"
#include "core/console.h"
#include "core/string.h"
#include "core/time.h"
#include "core/words.h"

#define SENTENCE_MAX 320
#define LIST_MAX     256 /* of the words that a kernel line may have */
#define WORD_SHOWN   64	 /* characters of a word that a sentence repeats */
#define NAME_SHOWN   32

#define TEXT(x)	 #x
#define VALUE(x) TEXT(x)

enum option_id {
	OPTION_MEMORY,
	OPTION_VCPUS,
	OPTION_CPUS,
	OPTION_WEIGHT,
	OPTION_TMEM,
	OPTION_TMEM_RESERVE,
	OPTION_TMEM_WEIGHT,
	OPTION_COMPRESS,
	OPTION_REFUSE,
	OPTION_ON_RESET,
	OPTION_ON_CRASH,
	OPTION_MANAGER,
	OPTION_TESTDEV,
	OPTION_COUNT
};

/* The words of a kernel line. */
struct option {
	const char *prefix;
	bool flag; /* is the whole word: no value follows, being there is 1 */
	const char *const
		*choices; /* instead of a number: words, by their values; NULL-terminated */
	bool size;	  /* K, M and G may follow the digits */
	bool set;	  /* of numbers; the bits that stand for them */
	uint64_t min, max, step;
	const char *expected;
};

static const char *const switch_words[] = {"off", "on", NULL};

static const char *const then_words[] = {
	[CONFIG_STOP] = "stop",
	[CONFIG_RESTART] = "restart",
	NULL,
};

static const struct option options[OPTION_COUNT] = {
	[OPTION_MEMORY] = {.prefix = "memory=",
			   .size = true,
			   .min = CONFIG_MEMORY_MIN,
			   .max = CONFIG_MEMORY_MAX,
			   .step = BLOCK_SIZE,
			   .expected = "a size from 4M to 512G in steps of 2M"},
	[OPTION_VCPUS] = {.prefix = "vcpus=",
			  .min = 1,
			  .max = CONFIG_MAX_VCPUS,
			  .step = 1,
			  .expected = "a number from 1 to " VALUE(CONFIG_MAX_VCPUS)},
	[OPTION_CPUS] = {.prefix = "cpus=",
			 .set = true,
			 .expected = "CPUs from 0 to 63, each once, such as 0-3 or 0,2"},
	[OPTION_WEIGHT] = {.prefix = "weight=",
			   .min = 1,
			   .max = CONFIG_WEIGHT_MAX,
			   .step = 1,
			   .expected = "a number from 1 to " VALUE(CONFIG_WEIGHT_MAX)},
	[OPTION_TMEM] = {.prefix = "tmem=",
			 .size = true,
			 .min = 0,
			 .max = UINT64_MAX,
			 .step = 1,
			 .expected = "a number of bytes, K, M or G allowed behind it"},
	[OPTION_TMEM_RESERVE] = {.prefix = "tmem_reserve=",
				 .size = true,
				 .min = 0,
				 .max = CONFIG_MEMORY_MAX,
				 .step = 1,
				 .expected = "a size up to 512G"},
	[OPTION_TMEM_WEIGHT] = {.prefix = "tmem_weight=",
				.min = 1,
				.max = CONFIG_WEIGHT_MAX,
				.step = 1,
				.expected = "a number from 1 to " VALUE(CONFIG_WEIGHT_MAX)},
	[OPTION_COMPRESS] = {.prefix = "compress=",
			     .choices = switch_words,
			     .expected = "on or off"},
	[OPTION_REFUSE] = {.prefix = "refuse=",
			   .min = 1,
			   .max = UINT16_MAX,
			   .step = 1,
			   .expected = "a number from 1 to 65535"},
	[OPTION_ON_RESET] = {.prefix = "on_reset=",
			     .choices = then_words,
			     .expected = "restart or stop"},
	[OPTION_ON_CRASH] = {.prefix = "on_crash=",
			     .choices = then_words,
			     .expected = "restart or stop"},
	[OPTION_MANAGER] = {.prefix = "manager", .flag = true},
	[OPTION_TESTDEV] = {.prefix = "testdev", .flag = true},
};
_Static_assert(CONFIG_MEMORY_MIN == 4 * MIB && CONFIG_MEMORY_MAX == 512 * GIB &&
		       BLOCK_SIZE == 2 * MIB,
	       "the sentences about memory= and tmem_reserve= say so");

static const uint64_t option_defaults[OPTION_COUNT] = {
	[OPTION_MEMORY] = CONFIG_MEMORY_DEFAULT,
	[OPTION_VCPUS] = 1,
	[OPTION_WEIGHT] = 1,
	[OPTION_TMEM] = UINT64_MAX,
	[OPTION_TMEM_WEIGHT] = 1,
	[OPTION_COMPRESS] = true,
	[OPTION_ON_RESET] = CONFIG_RESTART,
	[OPTION_ON_CRASH] = CONFIG_STOP,
};

/* What is known while the lines are read. */
struct parser {
	const struct boot_info *boot;
	struct config *config;
	bool faulty[CONFIG_MAX_GUESTS]; /* as config->guests: must not start */
	int faults;
	void (*report)(const char *sentence);
};

/* The module line at hand. */
struct line {
	const struct boot_module *module;
	unsigned int number; /* from 1, in the order of the GRUB menu */
	struct word name;
	bool shared;	  /* for several guests, of which @name is one */
	const char *rest; /* what has not been read yet */
};

static void fault_in_boot_line(struct parser *parser, struct word word, const char *complaint)
{
	char sentence[SENTENCE_MAX];

	format(sentence, sizeof(sentence), "boot line: \"%.*s\": %s", word_shown(word, WORD_SHOWN),
	       word.start, complaint);
	parser->faults++;
	parser->report(sentence);
}

/*
 * Reports a fault in a module line. An empty @word stands for one that is not there, an empty
 * guest name for a line without.
 */
static void fault_in_module(struct parser *parser, const struct line *line, struct word word,
			    const char *complaint, const char *expected)
{
	char sentence[SENTENCE_MAX];
	char name[NAME_SHOWN + sizeof(" ()")] = "";
	char quoted[WORD_SHOWN + sizeof("\"\": ")] = "";

	if (line->name.len > 0)
		format(name, sizeof(name), " (%.*s)", word_shown(line->name, NAME_SHOWN),
		       line->name.start);
	if (word.len > 0)
		format(quoted, sizeof(quoted), "\"%.*s\": ", word_shown(word, WORD_SHOWN),
		       word.start);
	format(sentence, sizeof(sentence), "module %u%s: %s%s%s", line->number, name, quoted,
	       complaint, expected);
	parser->faults++;
	parser->report(sentence);
}

static bool option_accepts(const struct option *option, struct word word, uint64_t *value)
{
	if (option->flag) {
		*value = 1;
		return true;
	}
	if (option->choices)
		return word_parse_choice(word, option->choices, value);
	if (option->set)
		return word_parse_set(word, value);
	return word_parse_number(word, option->size, value) && *value >= option->min &&
	       *value <= option->max && *value % option->step == 0;
}

/* What a word of a kernel line may be, for the sentence about one that is something else. */
static void options_list(char *text, size_t size)
{
	size_t at = 0;

	for (unsigned int i = 0; i < OPTION_COUNT && at < size; i++)
		at += (size_t)format(text + at, size - at, "%s, ", options[i].prefix);
	if (at < size)
		format(text + at, size - at,
		       "dedup=, shared=, or -- and the kernel's command line");
}

/* Reads the words between "kernel" and "--". Returns false if one of them was at fault. */
static bool parse_options(struct parser *parser, struct line *line, struct guest_config *guest,
			  uint64_t values[OPTION_COUNT])
{
	bool given[OPTION_COUNT] = {false};
	bool good = true;
	char list[LIST_MAX];

	options_list(list, sizeof(list));
	for (;;) {
		struct word word = word_next(&line->rest);
		const char *complaint = "expected ";
		const char *expected = list;
		bool accepted = false;
		struct word text;

		if (word.len == 0 || word_is(word, "--"))
			break;
		if (word_has_prefix(word, "shared=", &text)) {
			expected = config_parse_grant(text, parser->config, guest);
			accepted = !expected;
		}
		if (word_has_prefix(word, "dedup=", &text)) {
			expected = config_parse_dedup(text, parser->config, guest);
			accepted = !expected;
		}
		for (unsigned int i = 0; i < OPTION_COUNT; i++) {
			struct word value;

			if (!word_has_prefix(word, options[i].prefix, &value) ||
			    (options[i].flag && value.len > 0))
				continue;
			if (given[i]) {
				complaint = "given twice; expected it ";
				expected = "once a line";
				break;
			}
			given[i] = true;
			expected = options[i].expected;
			accepted = option_accepts(&options[i], value, &values[i]);
			break;
		}
		if (!accepted) {
			fault_in_module(parser, line, word, complaint, expected);
			good = false;
		}
	}
	while (word_is_space(*line->rest))
		line->rest++;
	return good;
}

/* The kernel's line: its options, and the guest's own command line behind them. */
static bool parse_kernel(struct parser *parser, struct line *line, struct word kind,
			 struct guest_config *guest)
{
	uint64_t values[OPTION_COUNT];
	bool good;

	if (guest->kernel) {
		fault_in_module(parser, line, kind, "a second kernel for this guest; ",
				"expected one");
		return false;
	}
	memcpy(values, option_defaults, sizeof(values));
	good = parse_options(parser, line, guest, values);
	guest->kernel = line->module;
	guest->cmdline = line->rest;
	guest->memory = values[OPTION_MEMORY];
	guest->vcpus = (uint32_t)values[OPTION_VCPUS];
	guest->cpus = values[OPTION_CPUS];
	guest->weight = (uint32_t)values[OPTION_WEIGHT];
	guest->tmem_cap = values[OPTION_TMEM];
	guest->tmem_reserve = values[OPTION_TMEM_RESERVE];
	guest->tmem_weight = (uint16_t)values[OPTION_TMEM_WEIGHT];
	guest->compress = values[OPTION_COMPRESS];
	guest->refuse = (uint16_t)values[OPTION_REFUSE];
	guest->on_reset = (enum config_then)values[OPTION_ON_RESET];
	guest->on_crash = (enum config_then)values[OPTION_ON_CRASH];
	guest->manager = values[OPTION_MANAGER];
	guest->testdev = values[OPTION_TESTDEV];
	if (guest->dedup >= CONFIG_DEDUP_GROUP && guest->tmem_reserve > 0) {
		fault_in_module(parser, line, kind, "expected ",
				"either tmem_reserve= or the name of a group behind dedup=");
		good = false;
	}
	return good;
}

static bool parse_initrd(struct parser *parser, struct line *line, struct word kind,
			 struct guest_config *guest)
{
	struct word word = word_next(&line->rest);

	if (guest->initrd) {
		fault_in_module(parser, line, kind, "a second initrd for this guest; ",
				"expected at most one");
		return false;
	}
	guest->initrd = line->module;
	if (word.len > 0) {
		fault_in_module(parser, line, word, "expected ", "nothing after the word initrd");
		return false;
	}
	return true;
}

/* "200us" or "5ms", in nanoseconds. Returns false for anything else. */
static bool parse_delay(struct word word, uint64_t *ns)
{
	static const struct {
		char unit[3];
		uint64_t ns;
	} units[] = {{"us", NSEC_PER_USEC}, {"ms", NSEC_PER_MSEC}};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t len = strlen(units[i].unit);

		if (word.len <= len || memcmp(word.start + word.len - len, units[i].unit, len) != 0)
			continue;
		word.len -= len;
		return word_parse_number(word, false, ns) &&
		       !__builtin_mul_overflow(*ns, units[i].ns, ns) && *ns <= CONFIG_DELAY_MAX_NS;
	}
	return false;
}
_Static_assert(CONFIG_DELAY_MAX_NS == NSEC_PER_SEC, "the sentence about delay= says 1000ms");

/* Reads the words behind "disk". Returns false if one of them was at fault. */
static bool parse_disk_words(struct parser *parser, struct line *line, struct disk_config *disk)
{
	bool good = true, delayed = false;

	for (;;) {
		struct word word = word_next(&line->rest), value;

		if (word.len == 0)
			return good;
		if (word_is(word, "ro") && !disk->read_only) {
			disk->read_only = true;
		} else if (!word_has_prefix(word, "delay=", &value)) {
			fault_in_module(parser, line, word, "expected ", "ro or delay=, each once");
			good = false;
		} else if (delayed || !parse_delay(value, &disk->delay_ns)) {
			fault_in_module(parser, line, word, "expected ",
					"once a time up to 1000ms, such as 200us");
			good = false;
		} else {
			delayed = true;
		}
	}
}

static bool parse_disk(struct parser *parser, struct line *line, struct word kind,
		       struct guest_config *guest)
{
	struct disk_config *disk = &guest->disks[guest->disk_count];
	const char *complaint = NULL, *expected = NULL;

	if (guest->disk_count == CONFIG_MAX_DISKS) {
		complaint = "one disk too many for this guest; ";
		expected = "expected at most " VALUE(CONFIG_MAX_DISKS);
	} else {
		*disk = (struct disk_config){.module = line->module};
		guest->disk_count++;
		if (!parse_disk_words(parser, line, disk))
			return false;
		if (disk->read_only)
			disk->image = line->number;
		if (line->shared && !disk->read_only) {
			complaint = "several guests can only read a disk; ";
			expected = "expected the word ro";
		} else if (line->module->size < CONFIG_DISK_MIN) {
			complaint = "the file is too short for a disk; ";
			expected = "expected at least one sector, 512 bytes";
		}
	}
	if (complaint)
		fault_in_module(parser, line, kind, complaint, expected);
	return !complaint;
}
_Static_assert(CONFIG_DISK_MIN == 512, "the sentence about short files says so");

_Static_assert(CONFIG_NAME_MAX == 16, "the sentence about names says 15");

/* The index of the guest that the line is for, a new one if need be; -1 when there is no room. */
static int find_guest(struct config *config, struct word name)
{
	struct guest_config *guest;

	for (uint32_t i = 0; i < config->guest_count; i++) {
		if (word_is(name, config->guests[i].name))
			return (int)i;
	}
	if (config->guest_count == CONFIG_MAX_GUESTS)
		return -1;
	guest = &config->guests[config->guest_count];
	memcpy(guest->name, name.start, name.len); /* the rest is zero */
	return (int)config->guest_count++;
}
_Static_assert(CONFIG_MAX_GUESTS == 32, "the sentence about too many guests says so");

/* Reads a line for the guest line->name; @line->rest is what follows the names. */
static void parse_module_for(struct parser *parser, struct line *line)
{
	static const struct word no_word;
	struct guest_config *guest;
	struct word kind;
	bool good;
	int index;

	if (!word_is_name(line->name, CONFIG_NAME_MAX)) {
		fault_in_module(parser, line, line->name,
				"expected a guest's name: ", "at most 15 letters, digits, - and _");
		return;
	}
	index = find_guest(parser->config, line->name);
	if (index < 0) {
		fault_in_module(parser, line, line->name, "expected ", "no more than 32 guests");
		return;
	}

	guest = &parser->config->guests[index];
	kind = word_next(&line->rest);
	if (line->module->cut) {
		fault_in_module(parser, line, no_word, "the line is too long; expected ",
				"at most 1023 characters");
		good = false;
	} else if (word_is(kind, "disk")) {
		good = parse_disk(parser, line, kind, guest);
	} else if (line->shared) {
		fault_in_module(parser, line, kind, "expected ",
				"disk, with several guests' names");
		good = false;
	} else if (word_is(kind, "kernel")) {
		good = parse_kernel(parser, line, kind, guest);
	} else if (word_is(kind, "initrd")) {
		good = parse_initrd(parser, line, kind, guest);
	} else {
		fault_in_module(parser, line, kind, kind.len ? "expected " : "no kind; expected ",
				"kernel, initrd or disk");
		good = false;
	}
	if (!good)
		parser->faulty[index] = true;
}

/* A guest's name, or several with commas between them, and what the module is to them. */
static void parse_module(struct parser *parser, struct line *line)
{
	const char *words = line->module->words;
	struct word names = word_next(&words);
	size_t start = 0;

	if (names.len == 0) {
		fault_in_module(parser, line, names, "no words; expected ",
				"a guest's name and kernel, initrd or disk");
		return;
	}
	for (size_t i = 0; i <= names.len; i++) {
		if (i < names.len && names.start[i] != ',')
			continue;
		line->name = (struct word){.start = names.start + start, .len = i - start};
		line->shared = line->name.len < names.len;
		line->rest = words;
		parse_module_for(parser, line);
		start = i + 1;
	}
}
_Static_assert(BOOT_STRING_MAX == 1024, "the sentences about long lines say 1023");

/* An initrd or a disk is of no use without a kernel. Guests that are out already are not named
 * again. */
static void check_kernels(struct parser *parser)
{
	const struct boot_info *boot = parser->boot;

	for (uint32_t i = 0; i < parser->config->guest_count; i++) {
		const struct guest_config *guest = &parser->config->guests[i];
		const struct boot_module *module = guest->initrd;
		const char *kind = "initrd";
		struct line line;

		if (guest->kernel || parser->faulty[i])
			continue;
		if (!module) {
			module = guest->disks[0].module;
			kind = "disk";
		}
		line = (struct line){.module = module,
				     .number = (unsigned int)(module - boot->modules) + 1,
				     .name = {guest->name, strlen(guest->name)}};
		fault_in_module(parser, &line, (struct word){kind, strlen(kind)},
				"no kernel for this guest; expected ",
				"a module line with its name and the word kernel");
		parser->faulty[i] = true;
	}
}

/* Closes the gaps that guests with faults leave. */
static void drop_faulty(struct parser *parser)
{
	struct config *config = parser->config;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < config->guest_count; i++) {
		if (!parser->faulty[i])
			config->guests[kept++] = config->guests[i];
	}
	config->guest_count = kept;
}

static void parse_boot_line(struct parser *parser)
{
	const char *rest = parser->boot->cmdline;
	struct word word, last = {rest, 0};

	for (word = word_next(&rest); word.len > 0; word = word_next(&rest)) {
		const char *complaint;
		struct word text;

		last = word;
		if (word_is(word, "idle=halt"))
			parser->config->when_idle = CONFIG_IDLE_HALT;
		else if (word_is(word, "idle=poweroff"))
			parser->config->when_idle = CONFIG_IDLE_POWEROFF;
		else if (word_is(word, "mitigations=off"))
			parser->config->mitigations_off = true;
		else if (word_is(word, "apicv=off"))
			parser->config->apicv = CONFIG_APICV_OFF;
		else if (word_is(word, "apicv=on"))
			parser->config->apicv = CONFIG_APICV_ON;
		else if (word_is(word, "nmi=panic"))
			parser->config->nmi_panic = true;
		else if (!word_has_prefix(word, "pool=", &text))
			fault_in_boot_line(
				parser, word,
				"ignored; expected idle=halt, idle=poweroff, "
				"apicv=off, apicv=on, mitigations=off, nmi=panic or pool=");
		else if ((complaint = config_parse_pool(text, parser->config)))
			fault_in_boot_line(parser, word, complaint);
	}
	if (parser->boot->cmdline_cut)
		fault_in_boot_line(parser, last,
				   "the line is cut here; expected at most 1023 characters");
}

int config_parse(const struct boot_info *boot, struct config *config,
		 void (*report)(const char *sentence))
{
	struct parser parser = {.boot = boot, .config = config, .report = report};

	memset(config, 0, sizeof(*config));
	parse_boot_line(&parser);
	for (uint32_t i = 0; i < boot->module_count; i++) {
		struct line line = {.module = &boot->modules[i], .number = i + 1};

		parse_module(&parser, &line);
	}
	check_kernels(&parser);
	drop_faulty(&parser);
	return parser.faults;
}
