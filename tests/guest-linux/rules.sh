# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# What init runs for tests/boot/test_cache.py and soak_linux.py; part of it (read in by `.`), with its functions.
#
#   tp.test=rules    each race of rules.c, with all rules on, and with one off or all that cover for it
#   tp.soak=1        and what does not go the same way each time

# One race, with the rules off whose bits are $2 (with commas, or "none"), on the file $3 and
# another one, $4: its reads are $5, at one of $6 tries: where pages go is up to the kernel.
rule()
{
	off=0
	for bit in $(echo "${2#none}" | tr , ' '); do
		off=$((off | 1 << bit))
	done
	tries=$6
	while :; do
		rules "$1" $off "$3" /dev/vda "$4" >/tmp/rules || finish FAIL "$(cat /tmp/rules)"
		[ "$(cat /tmp/rules)" != "rules: $1 $5" ] || break
		tries=$((tries - 1))
		[ $tries -gt 0 ] || finish FAIL "$(cat /tmp/rules), rules off: $2"
	done
	echo "$(cat /tmp/rules) off=$off"
}

# The race $1 on the files $2 and $3: old content comes back with the rules $4 off, and with no less
# of them: neither with none nor with any of what follows.
race()
{
	name=$1
	file=/mnt/$2
	other=/mnt/$3
	needed=$4
	shift 4
	for fewer in "${@:-none}"; do
		rule "$name" "$fewer" "$file" "$other" fresh 1
	done
	rule "$name" "$needed" "$file" "$other" stale 6
}

# The scenarios of rules.c and rules_pages.c, and the bits of enum tidepool_rule.
test_rules()
{
	start_cache keep_dropped=1
	load_list dm
	# The disk's interrupts on the first CPU: the second one holds up puts with interrupts off.
	for irq in /proc/irq/[0-9]*/smp_affinity; do
		echo 1 >"$irq" 2>/dev/null
	done
	dd if=/dev/urandom of=/mnt/victim bs=4k count=1 2>/dev/null
	sync
	rules clone 0 /mnt/victim /dev/vda /mnt/shared >/dev/null || finish FAIL "no second file on the same block"
	race stale victim shared 6
	race submit victim shared 2
	race complete victim shared 3
	race sample victim shared 1
	race recheck victim shared 8
	race claim victim shared 9
	race frozen victim shared 5
	race device victim shared 12
	race error data0 shared 13 # written by name: not a shared block
	race dirty data1 shared 4
	race zero data2 shared 11
	race moved data3 data4 7,10 10
	race reused data3 data4 0,7,10 0,7 0,10
	# Now and then a page comes into the frame by migration here too, which rule 0 does not see.
	[ "$(word soak 0)" = 0 ] || rule reused 7,10 /mnt/data3 /mnt/data4 fresh 6
	finish PASS
}
