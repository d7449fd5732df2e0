/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intrusive lists with a one-pointer head. A link costs two pointers and leaves its list without
 * knowing the head, which is what keeps a page's record at 64 bytes.
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

/* A list with a tail, oldest first. */
struct tmem_queue {
	struct tmem_list list;
	struct tmem_link **tail; /* the last link's next; the head when empty */
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

static inline void tmem_queue_init(struct tmem_queue *queue)
{
	queue->list.first = NULL;
	queue->tail = &queue->list.first;
}

static inline void tmem_queue_append(struct tmem_queue *queue, struct tmem_link *link)
{
	link->next = NULL;
	link->pprev = queue->tail;
	*queue->tail = link;
	queue->tail = &link->next;
}

static inline void tmem_queue_remove(struct tmem_queue *queue, struct tmem_link *link)
{
	if (!link->next)
		queue->tail = link->pprev;
	tmem_list_remove(link);
}

#endif
