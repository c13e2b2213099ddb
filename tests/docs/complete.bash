# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What bash completes a line to: complete.bash SCRIPT LINE
# shellcheck source=/dev/null
source "$1"
# As readline divides it.
read -ra COMP_WORDS <<<"${2//=/ = }"
[[ $2 != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
read -ra registered < <(complete -p zbq)
"${registered[2]}"
[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
