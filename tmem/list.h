/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intrusive lists with a one-pointer head. A link costs two pointers and leaves its list without
 * knowing the head.
 */
#ifndef TMEM_LIST_H
#define TMEM_LIST_H

#include <stddef.h>

struct tmem_link {
	struct tmem_link *next;
	struct tmem_link **pprev; /* the pointer that points here: the head, or a link's next */
};

struct tmem_list {
	struct tmem_link *first;
};

/* The structure of @type that contains the link at @ptr as its @member. */
#define tmem_list_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void tmem_list_push(struct tmem_list *list, struct tmem_link *link)
{
	link->next = list->first;
	link->pprev = &list->first;
	if (list->first)
		list->first->pprev = &link->next;
	list->first = link;
}

static inline void tmem_list_remove(struct tmem_link *link)
{
	*link->pprev = link->next;
	if (link->next)
		link->next->pprev = link->pprev;
}

#endif
