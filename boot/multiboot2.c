/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads GRUB's boot information into struct boot_info.
 *
 * Nothing in it is believed: a tag is looked at only after its size is known to lie inside the
 * whole, and inside a tag only what its size covers is read. Everything is copied out, so the
 * memory that GRUB used can be given away afterwards.
 *
 * Documents: Multiboot2 Specification 2.0, section 3.6 "Boot information format".
 */
#include "boot/bootinfo.h"
#include "boot/multiboot2.h"
#include "core/errno.h"
#include "core/string.h"
#include "core/types.h"

#define RSDP_SIZE_ACPI1 20u
#define RSDP_SIZE_ACPI2 36u

/* One tag whose bytes, header included, may all be read. */
struct tag {
	const uint8_t *bytes;
	uint32_t size;
};

static int fail(const char **why, const char *reason)
{
	*why = reason;
	return -EINVAL;
}

/*
 * Copies the string that starts at @offset of a tag. Returns false when it is not terminated
 * inside the tag; *cut says that the destination holds only its beginning.
 */
static bool copy_string(char dst[BOOT_STRING_MAX], bool *cut, const struct tag *tag,
			uint32_t offset)
{
	const char *src = (const char *)tag->bytes + offset;
	size_t room = tag->size - offset;
	size_t len = strnlen(src, room);

	if (len == room)
		return false;
	*cut = len >= BOOT_STRING_MAX;
	if (*cut)
		len = BOOT_STRING_MAX - 1;
	memcpy(dst, src, len);
	dst[len] = '\0';
	return true;
}

static int read_cmdline(struct boot_info *info, const struct tag *tag, const char **why)
{
	if (!copy_string(info->cmdline, &info->cmdline_cut, tag, sizeof(struct multiboot2_tag)))
		return fail(why, "command line tag: the string does not end inside the tag");
	return 0;
}

static int read_module(struct boot_info *info, const struct tag *tag, const char **why)
{
	struct multiboot2_tag_module raw;
	struct boot_module *module;

	if (tag->size < sizeof(raw))
		return fail(why, "module tag: too short");
	memcpy(&raw, tag->bytes, sizeof(raw));
	if (raw.end < raw.start)
		return fail(why, "module tag: the module ends before it starts");
	if (info->module_count == BOOT_MAX_MODULES)
		return fail(why, "module tag: more than 64 modules");

	module = &info->modules[info->module_count];
	if (!copy_string(module->words, &module->cut, tag, sizeof(raw)))
		return fail(why, "module tag: the command line does not end inside the tag");
	module->base = raw.start;
	module->size = raw.end - raw.start;
	info->module_count++;
	return 0;
}
_Static_assert(BOOT_MAX_MODULES == 64, "the sentence in read_module() says how many");

/* Adds a range; one that continues the last makes it longer, as firmware maps are finely cut. */
static int add_range(struct boot_info *info, const struct boot_range *range, const char **why)
{
	struct boot_range *last;

	if (info->range_count > 0) {
		last = &info->ranges[info->range_count - 1];
		/* Never all of 2^64, whose size has no room; nor around its end. */
		if (last->kind == range->kind && last->base + last->size == range->base &&
		    last->base + last->size > last->base && last->size + range->size > last->size) {
			last->size += range->size;
			return 0;
		}
	}
	if (info->range_count == BOOT_MAX_RANGES)
		return fail(why, "memory map tag: more than 128 ranges");
	info->ranges[info->range_count++] = *range;
	return 0;
}
_Static_assert(BOOT_MAX_RANGES == 128, "the sentence in add_range() says how many");

static int read_memory_map(struct boot_info *info, const struct tag *tag, const char **why)
{
	struct multiboot2_tag_mmap raw;
	struct multiboot2_mmap_entry entry;
	struct boot_range range;
	uint32_t offset;
	int err;

	if (tag->size < sizeof(raw))
		return fail(why, "memory map tag: too short");
	memcpy(&raw, tag->bytes, sizeof(raw));
	if (raw.entry_size < sizeof(entry) || raw.entry_size % MULTIBOOT2_TAG_ALIGN != 0)
		return fail(why, "memory map tag: impossible entry size");
	if ((tag->size - sizeof(raw)) % raw.entry_size != 0)
		return fail(why, "memory map tag: the last entry is cut");

	for (offset = sizeof(raw); offset < tag->size; offset += raw.entry_size) {
		memcpy(&entry, tag->bytes + offset, sizeof(entry));
		if (entry.size == 0)
			continue;
		if (entry.base + (entry.size - 1) < entry.base)
			return fail(why, "memory map tag: a range goes beyond 2^64");
		range.base = entry.base;
		range.size = entry.size;
		range.kind = entry.type == MULTIBOOT2_MMAP_RAM ? BOOT_MEMORY_RAM
							       : BOOT_MEMORY_OTHER;
		err = add_range(info, &range, why);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Palette modes, and sizes that make no sense, count as no framebuffer. */
static int read_framebuffer(struct boot_info *info, const struct tag *tag, const char **why)
{
	struct multiboot2_tag_framebuffer raw;
	enum boot_screen kind = BOOT_SCREEN_NONE;
	uint64_t size;

	if (tag->size < sizeof(raw))
		return fail(why, "framebuffer tag: too short");
	memcpy(&raw, tag->bytes, sizeof(raw));
	size = (uint64_t)raw.pitch * raw.height;
	if (raw.type == MULTIBOOT2_FRAMEBUFFER_RGB)
		kind = BOOT_SCREEN_PIXELS;
	else if (raw.type == MULTIBOOT2_FRAMEBUFFER_EGA && raw.bpp == MULTIBOOT2_EGA_CELL_BITS)
		kind = BOOT_SCREEN_TEXT;
	if (kind == BOOT_SCREEN_NONE || raw.base == 0 || size == 0 || raw.width == 0 ||
	    raw.base + (size - 1) < raw.base ||
	    raw.width * (((uint64_t)raw.bpp + 7) / 8) > raw.pitch)
		return 0;
	info->framebuffer = (struct boot_framebuffer){
		.kind = kind,
		.base = raw.base,
		.pitch = raw.pitch,
		.width = raw.width,
		.height = raw.height,
		.bpp = raw.bpp,
	};
	return 0;
}

static int read_rsdp(struct boot_info *info, const struct tag *tag, uint32_t size, const char **why)
{
	if (tag->size - sizeof(struct multiboot2_tag) < size)
		return fail(why, "ACPI tag: too short for an RSDP");
	if (info->rsdp_size > size) /* the newer form is known already */
		return 0;
	memcpy(info->rsdp, tag->bytes + sizeof(struct multiboot2_tag), size);
	info->rsdp_size = size;
	return 0;
}

static int read_rsdp_old(struct boot_info *info, const struct tag *tag, const char **why)
{
	return read_rsdp(info, tag, RSDP_SIZE_ACPI1, why);
}

static int read_rsdp_new(struct boot_info *info, const struct tag *tag, const char **why)
{
	return read_rsdp(info, tag, RSDP_SIZE_ACPI2, why);
}

/*
 * The readers of tags: each returns 0, or -EINVAL with the reason in *why.
 *
 * What is not listed is skipped. The EFI memory map is among that: GRUB passes the memory map tag
 * under UEFI as well, already translated.
 */
static int (*const tag_readers[])(struct boot_info *info, const struct tag *tag,
				  const char **why) = {
	[MULTIBOOT2_TAG_CMDLINE] = read_cmdline,   [MULTIBOOT2_TAG_MODULE] = read_module,
	[MULTIBOOT2_TAG_MMAP] = read_memory_map,   [MULTIBOOT2_TAG_FRAMEBUFFER] = read_framebuffer,
	[MULTIBOOT2_TAG_ACPI_OLD] = read_rsdp_old, [MULTIBOOT2_TAG_ACPI_NEW] = read_rsdp_new,
};

/* Walks the tags in @total bytes up to the end tag. */
static int read_tags(struct boot_info *info, const uint8_t *bytes, uint32_t total, const char **why)
{
	uint64_t offset = sizeof(struct multiboot2_info);
	struct multiboot2_tag raw;
	struct tag tag;
	int err;

	for (;;) {
		if (offset > total || total - offset < sizeof(raw))
			return fail(why, "the end tag is missing");
		memcpy(&raw, bytes + offset, sizeof(raw));
		if (raw.size < sizeof(raw) || raw.size > total - offset)
			return fail(why, "a tag is shorter than its header or longer than the "
					 "whole");
		if (raw.type == MULTIBOOT2_TAG_END)
			return 0;
		if (raw.type < ARRAY_SIZE(tag_readers) && tag_readers[raw.type]) {
			tag = (struct tag){.bytes = bytes + offset, .size = raw.size};
			err = tag_readers[raw.type](info, &tag, why);
			if (err < 0)
				return err;
		}
		offset += ALIGN_UP((uint64_t)raw.size, MULTIBOOT2_TAG_ALIGN);
	}
}

int boot_info_parse(uint32_t magic, const void *mbi, size_t limit, struct boot_info *info,
		    const char **why)
{
	struct multiboot2_info raw;
	int err;

	memset(info, 0, sizeof(*info));
	if (magic != MULTIBOOT2_BOOTLOADER_MAGIC)
		return fail(why, "not started by a multiboot2 boot loader");
	if (limit < sizeof(raw))
		return fail(why, "shorter than its header");
	memcpy(&raw, mbi, sizeof(raw));
	if (raw.total_size > limit)
		return fail(why, "total size: longer than can be read");
	if (raw.total_size < sizeof(raw))
		return fail(why, "total size: shorter than its header");

	err = read_tags(info, mbi, raw.total_size, why);
	if (err < 0)
		return err;
	if (info->range_count == 0)
		return fail(why, "memory map tag: missing or empty");
	info->info_size = raw.total_size;
	return 0;
}
