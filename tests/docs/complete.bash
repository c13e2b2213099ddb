# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What bash completes a line to: complete.bash SCRIPT LINE
# shellcheck source=/dev/null
source "$1"
# As readline divides it; what it replaces begins with an @, but not with = or :.
COMP_LINE=$2
COMP_POINT=${#COMP_LINE}
divided=${2//=/ = }
divided=${divided//:/ : }
read -ra COMP_WORDS <<<"${divided//@/ @ }"
[[ $2 != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
replaced=${2##*[ =:]}
[[ $replaced != *@* ]] || replaced=@${replaced##*@}
read -ra registered < <(complete -p zbq)
"${registered[2]}" zbq "$replaced" "${COMP_WORDS[COMP_CWORD-1]}"
[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
