# SPDX-License-Identifier: MIT
# What zsh completes a line to: complete.zsh DIRECTORY LINE
# An interactive shell on a terminal of its own, whose matches go to a file.
zmodload zsh/zpty
export DIRECTORY=$1 FOUND=$HOME/found
: >$FOUND
cat >$HOME/.zshrc <<'RC'
fpath=($DIRECTORY $fpath)
autoload -Uz compinit
compinit -u -d $HOME/known
compadd() {
    if [[ " ${(j: :)@[1,(i)--]}" == *' -'[OAD]' '* ]]; then
        builtin compadd "$@" # it only asks
        return
    fi
    local -a found
    builtin compadd -A found "$@"
    print -rl -- $found >>$FOUND
    (( $#found ))
}
finish() { exit }
comppostfuncs=(finish)
bindkey '^I' complete-word
PS1='ready> '
RC
zpty terminal "ZDOTDIR=$HOME TERM=dumb zsh -d -i"
zpty -r terminal output '*ready> *'
zpty -w -n terminal "$2"$'\t'
while zpty -r terminal output; do :; done
sed '/^$/d' $FOUND
