/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts and exceptions in a test guest
 *
 * An instruction that may fault is written with FIXUP: when it does, execution goes on behind it
 * and trap_vector tells which exception it was. Any other exception ends the test with Error.
 */
#ifndef TESTS_GUEST_LIB_TRAP_H
#define TESTS_GUEST_LIB_TRAP_H

#include <stdint.h>

#define VECTOR_NMI 2
#define VECTOR_UD  6
#define VECTOR_GP  13
#define VECTOR_PF  14
#define NO_VECTOR  (-1)

struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss; /* pushed by the processor */
};

/* An instruction of an asm statement that may fault. */
#define FIXUP(insn)                                                                                \
	"771: " insn "\n"                                                                          \
	"772:\n"                                                                                   \
	".pushsection .fixups, \"a\"\n"                                                            \
	".quad 771b, 772b\n"                                                                       \
	".popsection\n"

/* The exception that the last FIXUP instruction raised; set it to NO_VECTOR before. */
extern volatile int trap_vector;

/* trap_init - descriptor tables and task state. Called before test_main(). */
void trap_init(void);

/* trap_init_cpu - the same interrupt table on another CPU, which must not go to ring 3. */
void trap_init_cpu(void);

/* trap_set_handler - who is called for an interrupt (vectors 32 to 255, but 0x80), or an NMI */
void trap_set_handler(uint8_t vector, void (*handler)(void));

/*
 * user_run - call a function in ring 3, interrupts off
 * Returns what it returns. It may use FIXUP, but nothing that is privileged.
 */
uint64_t user_run(uint64_t (*function)(void *argument), void *argument);

#endif
