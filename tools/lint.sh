#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What a reviewer would have to look for by hand. Prints each fault; fails when there is one.
#
#   tools/lint.sh [CC]

set -u
cc=${1:-gcc}
faults=$(mktemp)
trap 'rm -f "$faults"' EXIT

fault()
{
	echo "lint: $*"
	echo x >>"$faults"
}

# The licence of each file, by folder.
for file in $(git ls-files | grep -vE '^(LICENSES/|LICENSE$|\.gitignore$)|\.md$'); do
	case $file in
	guest/linux-pv/*) licence='GPL-2.0-only' ;;
	include/tidepool/*) licence='GPL-2.0-only OR BSD-2-Clause' ;;
	*) licence='BSD-2-Clause' ;;
	esac
	head -n 3 "$file" | grep -q "SPDX-License-Identifier: $licence\( \*/\)\?$" ||
		fault "$file: no SPDX line saying $licence in its first three lines"
done

# Length: a file that outgrows a sitting holds two topics.
for file in $(git ls-files '*.c' '*.h' '*.S' '*.py' '*.sh' tests/guest-linux/init); do
	lines=$(wc -l <"$file")
	[ "$lines" -le 600 ] || fault "$file: $lines lines, at most 600"
done

# Formatting.
sources=$(git ls-files '*.c' '*.h' | grep -v '^guest/')
# shellcheck disable=SC2086
clang-format --dry-run -Werror $sources 2>&1 | grep -E 'error:' | head -n 20 >"$faults.format" || true
while read -r line; do
	fault "$line (make format mends it)"
done <"$faults.format"
rm -f "$faults.format"

# Each header stands alone.
for header in $(git ls-files 'boot/*.h' 'arch/*.h' 'core/*.h' 'tmem/*.h' 'include/*.h'); do
	echo "#include \"$header\"" |
		$cc -std=gnu11 -ffreestanding -mgeneral-regs-only -Wall -Wextra -Werror -I. -Iinclude -Ibuild/hv \
			-fsyntax-only -x c - 2>/dev/null || fault "$header: does not compile alone"
done

# Borders: tmem/ includes nothing of arch/ or core/; machine instructions live in arch/ and boot/.
grep -nE '#include "(arch|core|boot)/' tmem/*.c tmem/*.h && fault "tmem/ includes what is outside of it"
grep -nE '\b(__)?asm(__)?\b *(volatile)? *\(' $(git ls-files 'core/*.c' 'core/*.h' 'tmem/*.c' 'tmem/*.h') &&
	fault "inline assembly outside arch/"

# The other compiler accepts everything too.
other=clang
for file in $(git ls-files 'boot/*.c' 'arch/*.c' 'core/*.c' 'tmem/*.c' | grep -v asm_offsets); do
	$other -std=gnu11 -O2 -ffreestanding -fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
		-fstack-protector-strong -mstack-protector-guard=global -Wall -Wextra -Werror -Wshadow \
		-Wmissing-prototypes -Wstrict-prototypes -Wconversion -Wvla -I. -Iinclude -Ibuild/hv \
		-fsyntax-only "$file" || fault "$file: clang does not accept it"
done

[ ! -s "$faults" ] || exit 1
echo "lint: no faults"
