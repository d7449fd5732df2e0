/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carries out, on behalf of the guest, an instruction that reached for device memory.
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/decode.h"
#include "arch/x86_64/vcpu/fetch.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/virt.h"
#include "core/dev/bus.h"
#include "core/errno.h"
#include "core/string.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define RFLAGS_ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static uint64_t low_bytes(uint64_t value, unsigned int size)
{
	return size >= sizeof(value) ? value : value & (BIT(size * 8) - 1);
}

static uint64_t sign_extend(uint64_t value, unsigned int size)
{
	uint64_t sign = BIT(size * 8 - 1);

	return (low_bytes(value, size) ^ sign) - sign;
}

/* The operand that is not in memory. */
static uint64_t read_operand(const struct vcpu *vcpu, const struct insn *insn)
{
	uint64_t value = insn->use_imm ? insn->imm : vcpu->arch.gpr[insn->reg];

	return low_bytes(insn->high_byte ? value >> 8 : value, insn->reg_size);
}

/* 32-bit results clear the upper half, shorter ones leave the rest alone. */
static void write_register(struct vcpu *vcpu, const struct insn *insn, uint64_t value)
{
	uint64_t *reg = &vcpu->arch.gpr[insn->reg];
	unsigned int shift = insn->high_byte ? 8 : 0;
	uint64_t mask;

	value = low_bytes(value, insn->reg_size);
	if (insn->reg_size >= 4) {
		*reg = value;
	} else {
		mask = (BIT(insn->reg_size * 8) - 1) << shift;
		*reg = (*reg & ~mask) | value << shift;
	}
}

static uint64_t calculate(enum insn_op op, uint64_t a, uint64_t b)
{
	switch (op) {
	case INSN_ADD:
		return a + b;
	case INSN_SUB:
	case INSN_CMP:
		return a - b;
	case INSN_AND:
	case INSN_TEST:
		return a & b;
	case INSN_OR:
		return a | b;
	default:
		return a ^ b;
	}
}

/* The arithmetic flags of @a op @b (SDM vol. 1, "Status Flags"); the logical ones clear CF, OF. */
static uint64_t flags_of(enum insn_op op, uint64_t a, uint64_t b, uint64_t result,
			 unsigned int size)
{
	uint64_t sign = BIT(size * 8 - 1), flags = 0;
	bool subtract = op == INSN_SUB || op == INSN_CMP;

	if (!result)
		flags |= RFLAGS_ZF;
	if (result & sign)
		flags |= RFLAGS_SF;
	if (!__builtin_parity((unsigned int)(result & 0xff)))
		flags |= RFLAGS_PF;
	if (op != INSN_ADD && !subtract)
		return flags;
	if (subtract ? a < b : result < a)
		flags |= RFLAGS_CF;
	if ((a ^ b ^ result) & 0x10)
		flags |= RFLAGS_AF;
	if ((subtract ? (a ^ b) & (a ^ result) : ~(a ^ b) & (a ^ result)) & sign)
		flags |= RFLAGS_OF;
	return flags;
}

static void write_flags(struct vcpu *vcpu, uint64_t flags)
{
	struct vcpu_paging paging;

	virt->get_paging(vcpu, &paging);
	virt->set_rflags(vcpu, (paging.rflags & ~RFLAGS_ARITHMETIC) | flags);
}

static void execute_arithmetic(struct vcpu *vcpu, const struct insn *insn, gpa_t gpa)
{
	uint64_t memory = low_bytes(bus_mmio_read(vcpu, gpa, insn->size), insn->size);
	uint64_t operand = low_bytes(read_operand(vcpu, insn), insn->size);
	uint64_t a = insn->to_register ? operand : memory;
	uint64_t b = insn->to_register ? memory : operand;
	uint64_t result = low_bytes(calculate(insn->op, a, b), insn->size);

	write_flags(vcpu, flags_of(insn->op, a, b, result, insn->size));
	if (insn->op == INSN_CMP || insn->op == INSN_TEST)
		return;
	if (insn->to_register)
		write_register(vcpu, insn, result);
	else
		bus_mmio_write(vcpu, gpa, insn->size, result);
}

static void execute(struct vcpu *vcpu, const struct insn *insn, gpa_t gpa)
{
	uint64_t value;

	switch (insn->op) {
	case INSN_STORE:
		bus_mmio_write(vcpu, gpa, insn->size, read_operand(vcpu, insn));
		break;
	case INSN_LOAD:
		value = low_bytes(bus_mmio_read(vcpu, gpa, insn->size), insn->size);
		if (insn->sign_extend)
			value = sign_extend(value, insn->size);
		write_register(vcpu, insn, value);
		break;
	case INSN_XCHG:
		value = bus_mmio_read(vcpu, gpa, insn->size);
		bus_mmio_write(vcpu, gpa, insn->size, read_operand(vcpu, insn));
		write_register(vcpu, insn, value);
		break;
	default:
		execute_arithmetic(vcpu, insn, gpa);
		break;
	}
}

int mmio_emulate(struct vcpu *vcpu)
{
	uint8_t bytes[INSN_MAX];
	struct vcpu_paging paging;
	enum insn_mode mode;
	struct insn insn;
	size_t count;
	int err = -EAGAIN;

	if (vcpu->exit.mmio.fetch)
		return -EINVAL;
	virt->get_paging(vcpu, &paging);
	mode = insn_mode(&paging);
	if (vcpu->exit.mmio.insn_count)
		err = insn_decode(vcpu->exit.mmio.insn, vcpu->exit.mmio.insn_count, mode, &insn);
	if (err == -EAGAIN) {
		count = insn_fetch(vcpu->vm, &paging, bytes);
		err = insn_decode(bytes, count, mode, &insn);
	}
	if (err == -EAGAIN)
		return 0; /* unmapped since: executing it again raises the #PF that is due */
	if (err < 0)
		return err;

	execute(vcpu, &insn, vcpu->exit.mmio.gpa);
	return insn.length;
}
