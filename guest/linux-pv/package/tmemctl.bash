# SPDX-License-Identifier: GPL-2.0-only
# Completion of tmemctl(8) for bash.

_tmemctl()
{
	local word=${COMP_WORDS[COMP_CWORD]} sys=${TMEMCTL_SYS:-/sys} path

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"status attach detach counters start stop help version" -- "$word")
		return
	fi
	if [ "$COMP_CWORD" -eq 3 ] && [ "${COMP_WORDS[1]}" = attach ]; then
		compopt -o nospace 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -W "pool=" -- "$word")
		return
	fi
	[ "$COMP_CWORD" -eq 2 ] || return
	case ${COMP_WORDS[1]} in
	attach)
		for path in "$sys"/block/*; do
			path=${path##*/}
			case $path in
			loop* | ram* | zram* | tidepool_*) ;;
			*) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "/dev/$path" -- "$word") ;;
			esac
		done
		;;
	detach)
		[ ! -r "$sys/kernel/tidepool/disks" ] || mapfile -t COMPREPLY < <(compgen -W \
			"$(sed 's| .*||; s|^|/dev/|' "$sys/kernel/tidepool/disks")" -- "$word")
		;;
	esac
}

complete -F _tmemctl tmemctl
