# SPDX-License-Identifier: Apache-2.0
# Completion for berth: what it offers comes from berth's own help, so it cannot fall behind.
_berth()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} i
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "$(berth --help | sed -n '/^Commands/,/^$/s/^  \([a-z]*\) .*/\1/p') --help --version" -- "$cur"))
		return
	fi
	case $prev in
	--network) COMPREPLY=($(compgen -W "$(berth networks 2>/dev/null | sed '1d;s/ .*//')" -- "$cur")); return ;;
	--host) COMPREPLY=($(compgen -W "$(berth hosts 2>/dev/null | sed '1d;s/ .*//')" -- "$cur")); return ;;
	--like) COMPREPLY=($(compgen -W "linux windows macos" -- "$cur")); return ;;
	--range) COMPREPLY=($(compgen -W "well-known registered dynamic" -- "$cur")); return ;;
	-p) [[ ${COMP_WORDS[1]} == netstat ]] && COMPREPLY=($(compgen -W "tcp udp tcpv6 udpv6" -- "$cur")) && return ;;
	--ip | --sysctl | --time-wait | --link | --listen) return ;;
	esac
	if [[ $cur != -* ]]; then
		case ${COMP_WORDS[1]} in
		link)
			((COMP_CWORD == 2)) && COMPREPLY=($(compgen -W "set clear show" -- "$cur")) && return
			COMPREPLY=($(compgen -W "$(berth hosts 2>/dev/null | sed '1d;s/ .*//') loss burst delay jitter rate limit
				duplicate reorder corrupt down up tap" -- "$cur"))
			return ;;
		filter)
			((COMP_CWORD == 2)) && COMPREPLY=($(compgen -W "add insert remove policy clear list" -- "$cur")) && return
			((COMP_CWORD == 3)) && COMPREPLY=($(compgen -W "$(berth hosts 2>/dev/null | sed '1d;s/ .*//')" -- "$cur")) && return
			case $prev in
			state) COMPREPLY=($(compgen -W "new established related invalid" -- "$cur")) ;;
			with) COMPREPLY=($(compgen -W "tcp-reset" -- "$cur")) ;;
			from | to | sport | dport) ;;
			*) COMPREPLY=($(compgen -W "accept drop reject in out tcp udp icmp from to sport dport state with" -- "$cur")) ;;
			esac
			return ;;
		netstat | sysctl | capture | replay | ping | map | doctor | top | why)
			COMPREPLY=($(compgen -W "$(berth hosts 2>/dev/null | sed '1d;s/ .*//')" -- "$cur"))
			if [[ ${COMP_WORDS[1]} == sysctl && $prev != sysctl ]]; then
				COMPREPLY=($(compgen -W "$(berth sysctl "${COMP_WORDS[2]}" 2>/dev/null | sed 's/ .*//')" -- "$cur"))
			fi
			return ;;
		services)
			COMPREPLY=($(compgen -W "$(berth services --list | sed '1d' | awk '$3 != "-" { print $3 }')" -- "$cur"))
			return ;;
		esac
	fi
	if [[ ${COMP_WORDS[1]} == run ]]; then
		for ((i = 2; i < COMP_CWORD; i++)); do
			case ${COMP_WORDS[i]} in
			--network | --host | --ip | --sysctl | --like | --time-wait | --link) ((i++)) ;;
			--) ((i++)); break ;;
			-*) ;;
			*) break ;;
			esac
		done
		if ((i < COMP_CWORD)) && declare -F _command_offset >/dev/null; then
			_command_offset $i
			return
		fi
		if [[ $cur != -* ]]; then
			COMPREPLY=($(compgen -c -- "$cur"))
			return
		fi
	fi
	COMPREPLY=($(compgen -W "$(berth help "${COMP_WORDS[1]}" 2>/dev/null | grep -o -- '--[a-z0-9-]*')" -- "$cur"))
}
complete -o default -F _berth berth
