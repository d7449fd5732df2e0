/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_GUEST_LIB_PRINT_H
#define TESTS_GUEST_LIB_PRINT_H

#include <stdarg.h>

/* vprint - print() with its arguments in a list */
void vprint(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

#endif
