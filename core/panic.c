/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/panic.h"
#include "core/console.h"
#include "core/types.h"
#include "arch/x86_64/cpu/backtrace.h"
#include "arch/x86_64/cpu/platform.h"
#include "arch/x86_64/cpu/smp.h"
#include <stdarg.h>

#define REASON_MAX 400

/* Checked by functions that the stack protector guards; boot/entry.S gives it a random value. */
extern uint64_t __stack_chk_guard;
uint64_t __stack_chk_guard;

void __stack_chk_fail(void) __attribute__((noreturn));

void panic_begin(void)
{
	static bool begun;

	/* A second CPU, or a fault on the way out of the first, must not disturb what is shown. */
	if (__atomic_exchange_n(&begun, true, __ATOMIC_ACQ_REL))
		platform_halt();
	smp_halt_others();
	console_break_lock();
}

void panic(const char *fmt, ...)
{
	char reason[REASON_MAX];
	va_list args;

	panic_begin();
	va_start(args, fmt);
	vformat(reason, sizeof(reason), fmt, args);
	va_end(args);
	printk("\ntidepool: PANIC: %s\n", reason);
	backtrace_print(0, (uint64_t)__builtin_frame_address(0));
	printk("tidepool: halted\n");
	platform_halt();
}

void __stack_chk_fail(void)
{
	panic("a stack buffer was overrun");
}
