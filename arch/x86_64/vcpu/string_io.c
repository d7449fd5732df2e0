/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INS and OUTS, on behalf of the guest
 *
 * The exit comes before the processor has looked at memory, so all that it would check is checked
 * here: segment, alignment, page tables; and accessed and dirty bits are set. A repeated
 * instruction goes on after a number of steps by executing again, as it does when an interrupt
 * comes between.
 *
 * Documents: SDM vol. 2A, "INS", "OUTS", "REP"; vol. 3A, "Limit Checking", "Type Checking"; vol.
 * 3C, "Relative Priority of Faults and VM Exits".
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/fetch.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/vcpu/walk.h"
#include "arch/x86_64/virt.h"
#include "core/dev/bus.h"
#include "core/errno.h"
#include "core/string.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define STEPS_MAX 64 /* of a repeated instruction at one exit */

#define OPCODE_INSB  0x6c
#define OPCODE_OUTSD 0x6f

#define TYPE_CODE	 BIT(3)
#define TYPE_EXPAND_DOWN BIT(2) /* of data */
#define TYPE_WRITABLE	 BIT(1) /* of data; of code: readable */
#define ATTR_BIG	 BIT(14)

/* What the exit does not tell on every processor. */
struct string_insn {
	uint8_t length;
	uint8_t address_size; /* 2, 4, 8 */
	enum segment segment; /* of the memory operand */
};

/* The memory operand, and what reaching for it depends on. */
struct operand {
	struct vcpu_paging paging;
	enum insn_mode mode;
	enum segment number;
	struct vcpu_segment segment; /* in 64-bit mode: only its base */
	unsigned int size;
	bool write;
};

/* A part of the operand, inside one page. */
struct piece {
	gpa_t gpa;
	unsigned int size; /* 0: there is no second piece */
};

/* Returns 0, or -EAGAIN when this is not, or not all of, the instruction that made the exit. */
static int decode(const uint8_t *bytes, size_t count, enum insn_mode mode, bool in,
		  struct string_insn *insn)
{
	static const uint8_t sizes[] = {[INSN_MODE_16] = 2, [INSN_MODE_32] = 4, [INSN_MODE_64] = 8};

	*insn = (struct string_insn){.address_size = sizes[mode], .segment = SEG_DS};
	while (insn->length < count) {
		uint8_t byte = bytes[insn->length++];

		switch (byte) {
		case 0x26:
			insn->segment = SEG_ES;
			break;
		case 0x2e:
			insn->segment = SEG_CS;
			break;
		case 0x36:
			insn->segment = SEG_SS;
			break;
		case 0x3e:
			insn->segment = SEG_DS;
			break;
		case 0x64:
			insn->segment = SEG_FS;
			break;
		case 0x65:
			insn->segment = SEG_GS;
			break;
		case 0x67:
			insn->address_size = mode == INSN_MODE_32 ? 2 : 4;
			break;
		case 0x66: /* operand size: the exit told */
		case 0xf2: /* repeat: likewise */
		case 0xf3:
			break;
		case OPCODE_INSB ... OPCODE_OUTSD:
			if (in)
				insn->segment = SEG_ES; /* no override */
			return 0;
		default:
			if (mode == INSN_MODE_64 && (byte & 0xf0) == 0x40) /* REX: means nothing */
				break;
			return -EAGAIN;
		}
	}
	return -EAGAIN;
}

static void read_segment(struct vcpu *vcpu, enum segment number, struct operand *operand)
{
	struct vcpu_state state;

	operand->number = number;
	operand->segment = (struct vcpu_segment){0};
	if (operand->mode != INSN_MODE_64) {
		virt->get_state(vcpu, &state);
		operand->segment = state.seg[number];
	} else if (number == SEG_FS || number == SEG_GS) {
		operand->segment.base = virt->get_base(vcpu, number);
	}
}

static bool segment_allows(const struct operand *operand, uint64_t offset)
{
	const struct vcpu_segment *segment = &operand->segment;
	uint64_t last = offset + operand->size - 1;
	bool is_protected = operand->paging.cr0 & CR0_PE && !(operand->paging.rflags & RFLAGS_VM);

	if (is_protected) {
		if (segment->attr & SEGMENT_ATTR_UNUSABLE)
			return false;
		if (operand->write && segment->attr & TYPE_CODE)
			return false;
		if ((operand->write || segment->attr & TYPE_CODE) &&
		    !(segment->attr & TYPE_WRITABLE))
			return false;
	}
	if (!(segment->attr & TYPE_CODE) && segment->attr & TYPE_EXPAND_DOWN)
		return offset > segment->limit &&
		       last <= (segment->attr & ATTR_BIG ? UINT32_MAX : UINT16_MAX);
	return last <= segment->limit;
}

static bool is_canonical(gva_t gva)
{
	return (gva_t)((int64_t)(gva << 16) >> 16) == gva;
}

/* Returns false when a fault was injected instead. */
static bool find_linear(struct vcpu *vcpu, const struct operand *operand, uint64_t offset,
			gva_t *gva)
{
	uint8_t vector = operand->number == SEG_SS ? VECTOR_SS : VECTOR_GP;
	bool ok;

	*gva = operand->segment.base + offset;
	if (operand->mode == INSN_MODE_64) {
		ok = is_canonical(*gva) && is_canonical(*gva + operand->size - 1);
	} else {
		*gva = (uint32_t)*gva;
		ok = segment_allows(operand, offset);
	}
	if (!ok) {
		virt->inject_exception(vcpu, vector, 0);
		return false;
	}
	if (operand->paging.cpl == 3 && operand->paging.cr0 & CR0_AM &&
	    operand->paging.rflags & RFLAGS_AC && *gva & (operand->size - 1)) {
		virt->inject_exception(vcpu, VECTOR_AC, 0);
		return false;
	}
	return true;
}

/* Returns false when the operand cannot be reached: a fault was injected, or it is tried again. */
static bool find_pieces(struct vcpu *vcpu, const struct operand *operand, gva_t gva,
			struct piece pieces[2])
{
	const struct walk_access access = {
		.write = operand->write, .user = operand->paging.cpl == 3, .mark = true};
	unsigned int left = (unsigned int)(PAGE_SIZE - (gva & (PAGE_SIZE - 1)));
	uint32_t error_code;

	pieces[0].size = operand->size < left ? operand->size : left;
	pieces[1].size = operand->size - pieces[0].size;
	for (unsigned int i = 0; i < 2 && pieces[i].size; i++) {
		int err = walk_tables(vcpu->vm, &operand->paging, gva, access, &pieces[i].gpa,
				      &error_code);

		if (err == -EFAULT) {
			vcpu->arch.cr2 = gva;
			virt->inject_exception(vcpu, VECTOR_PF, error_code);
		}
		if (err < 0)
			return false;
		gva += pieces[i].size;
		if (operand->mode != INSN_MODE_64)
			gva = (uint32_t)gva;
	}
	return true;
}

/* Device memory is read and written whole; where it is only a part of the operand, it is nothing.
 */
static uint32_t load(struct vcpu *vcpu, const struct piece pieces[2])
{
	uint8_t bytes[sizeof(uint32_t)];
	uint32_t value;

	memset(bytes, 0xff, sizeof(bytes));
	if (vm_read_guest(vcpu->vm, pieces[0].gpa, bytes, pieces[0].size) < 0) {
		memset(bytes, 0xff, pieces[0].size);
		if (!pieces[1].size)
			return (uint32_t)bus_mmio_read(vcpu, pieces[0].gpa, pieces[0].size);
	}
	if (pieces[1].size &&
	    vm_read_guest(vcpu->vm, pieces[1].gpa, bytes + pieces[0].size, pieces[1].size) < 0)
		memset(bytes + pieces[0].size, 0xff, pieces[1].size);
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static void store(struct vcpu *vcpu, const struct piece pieces[2], uint32_t value)
{
	uint8_t bytes[sizeof(uint32_t)];

	memcpy(bytes, &value, sizeof(bytes));
	if (vm_write_guest(vcpu->vm, pieces[0].gpa, bytes, pieces[0].size) < 0 && !pieces[1].size)
		bus_mmio_write(vcpu, pieces[0].gpa, pieces[0].size, value);
	if (pieces[1].size)
		(void)vm_write_guest(vcpu->vm, pieces[1].gpa, bytes + pieces[0].size,
				     pieces[1].size);
}

static uint64_t low_part(uint64_t value, unsigned int size)
{
	return size == 8 ? value : value & (BIT(size * 8) - 1);
}

/* Adds to an address register or counter: 16 bits keep what is above them, 32 bits clear it. */
static void add_register(uint64_t *reg, unsigned int size, uint64_t what)
{
	uint64_t kept = size == 2 ? *reg & ~(uint64_t)UINT16_MAX : 0;

	*reg = kept | low_part(*reg + what, size);
}

/* One element between port and memory. Returns false when it has not been moved. */
static bool move_one(struct vcpu *vcpu, const struct operand *operand, uint64_t offset)
{
	uint16_t port = vcpu->exit.io.port;
	struct piece pieces[2];
	gva_t gva;

	/* Before the port is read: that may have effects. */
	if (!find_linear(vcpu, operand, offset, &gva) || !find_pieces(vcpu, operand, gva, pieces))
		return false;
	if (operand->write)
		store(vcpu, pieces, bus_io_read(vcpu, port, operand->size));
	else
		bus_io_write(vcpu, port, operand->size,
			     (uint32_t)low_part(load(vcpu, pieces), operand->size));
	return true;
}

int string_io_emulate(struct vcpu *vcpu)
{
	bool in = vcpu->exit.io.in, rep = vcpu->exit.io.rep;
	struct operand operand = {.size = vcpu->exit.io.size, .write = in};
	uint64_t *index = &vcpu->arch.gpr[in ? RDI : RSI], *count = &vcpu->arch.gpr[RCX];
	uint64_t step = operand.size;
	uint8_t bytes[INSN_MAX];
	struct string_insn insn;
	unsigned int steps;

	virt->get_paging(vcpu, &operand.paging);
	operand.mode = insn_mode(&operand.paging);
	if (decode(bytes, insn_fetch(vcpu->vm, &operand.paging, bytes), operand.mode, in, &insn) <
	    0)
		return 0;
	read_segment(vcpu, insn.segment, &operand);
	if (operand.paging.rflags & RFLAGS_DF)
		step = -step;
	/* With TF each element is an instruction of its own. */
	steps = operand.paging.rflags & RFLAGS_TF || !rep ? 1 : STEPS_MAX;

	for (unsigned int i = 0; i < steps; i++) {
		if (rep && !low_part(*count, insn.address_size))
			return insn.length;
		if (!move_one(vcpu, &operand, low_part(*index, insn.address_size)))
			return 0;
		add_register(index, insn.address_size, step);
		if (rep)
			add_register(count, insn.address_size, UINT64_MAX);
	}
	if (!rep || !low_part(*count, insn.address_size))
		return insn.length;
	virt->end_step(vcpu);
	return 0;
}
