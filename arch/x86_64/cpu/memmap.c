/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/cpu/memmap.h"

#define LOW_MEMORY_END	 MIB	   /* the allocator takes nothing below */
#define LOW_PAGE_HIGHEST 0x9f000ul /* the last page of conventional memory */
#define LOW_PAGE_LOWEST	 PAGE_SIZE /* page 0 holds the real-mode interrupt table */

struct span {
	hpa_t start, end;
};

static struct span span_of(hpa_t base, uint64_t size)
{
	hpa_t end = base + size;

	return (struct span){base, end < base ? UINT64_MAX : end};
}

/* Does @used overlap @rest, and earlier than the best so far? */
static void note_first(struct span used, const struct span *rest, struct span *first)
{
	if (used.start < rest->end && used.end > rest->start && used.start < first->start)
		*first = used;
}

/*
 * Returns the first thing inside @rest that must not be taken from line @line of the map; its start
 * is UINT64_MAX when there is none. Without @image, only what earlier lines have given counts.
 */
static struct span first_used(const struct boot_info *boot, const struct span *image, uint32_t line,
			      const struct span *rest)
{
	struct span first = {UINT64_MAX, UINT64_MAX};

	for (uint32_t i = 0; i < boot->range_count; i++)
		if (boot->ranges[i].kind == BOOT_MEMORY_RAM ? i < line : image != NULL)
			note_first(span_of(boot->ranges[i].base, boot->ranges[i].size), rest,
				   &first);
	if (!image)
		return first;
	note_first(*image, rest, &first);
	note_first(span_of(0, LOW_MEMORY_END), rest, &first);
	note_first(span_of(boot->info_base, boot->info_size), rest, &first);
	for (uint32_t i = 0; i < boot->module_count; i++)
		note_first(span_of(boot->modules[i].base, boot->modules[i].size), rest, &first);
	return first;
}

static int for_each(const struct boot_info *boot, const struct span *image, struct span within,
		    int (*take)(hpa_t base, uint64_t size))
{
	for (uint32_t i = 0; i < boot->range_count; i++) {
		struct span rest = span_of(boot->ranges[i].base, boot->ranges[i].size);

		if (boot->ranges[i].kind != BOOT_MEMORY_RAM)
			continue;
		if (rest.start < within.start)
			rest.start = within.start;
		if (rest.end > within.end)
			rest.end = within.end;
		while (rest.start < rest.end) {
			struct span used = first_used(boot, image, i, &rest);
			hpa_t end = used.start < rest.end ? used.start : rest.end;

			if (end > rest.start) {
				int err = take(rest.start, end - rest.start);

				if (err < 0)
					return err;
			}
			rest.start = used.end;
		}
	}
	return 0;
}

int memmap_for_each_ram(const struct boot_info *boot, int (*take)(hpa_t base, uint64_t size))
{
	return for_each(boot, NULL, (struct span){0, UINT64_MAX}, take);
}

int memmap_for_each_free(const struct boot_info *boot, hpa_t image_base, uint64_t image_size,
			 hpa_t from, hpa_t to, int (*take)(hpa_t base, uint64_t size))
{
	const struct span image = span_of(image_base, image_size);

	return for_each(boot, &image, (struct span){from, to}, take);
}

hpa_t memmap_find_low_page(const struct boot_info *boot)
{
	for (hpa_t page = LOW_PAGE_HIGHEST; page >= LOW_PAGE_LOWEST; page -= PAGE_SIZE) {
		const struct span wanted = {page, page + PAGE_SIZE};
		struct span used = {UINT64_MAX, UINT64_MAX};
		bool is_ram = false;

		note_first(span_of(boot->info_base, boot->info_size), &wanted, &used);
		for (uint32_t i = 0; i < boot->module_count; i++)
			note_first(span_of(boot->modules[i].base, boot->modules[i].size), &wanted,
				   &used);
		for (uint32_t i = 0; i < boot->range_count; i++) {
			struct span range = span_of(boot->ranges[i].base, boot->ranges[i].size);

			if (boot->ranges[i].kind != BOOT_MEMORY_RAM)
				note_first(range, &wanted, &used);
			else if (range.start <= wanted.start && range.end >= wanted.end)
				is_ram = true;
		}
		if (is_ram && used.start == UINT64_MAX)
			return page;
	}
	return 0;
}
