"""Scripts that make bash, zsh and fish complete the words of a command on Tab.

Hydra's own take every Python script for one of Hydra's, and thus run it when Tab is pressed, and know `python` only by
that name. These ask a script only if it is an entry point of this project.
"""

MARK = "^from unmix.config import main"  # a line of every entry point in src/

BASH = f"""\
_unmix() {{
    local line=${{COMP_LINE:0:COMP_POINT}} script=${{COMP_WORDS[1]}}
    COMPREPLY=()
    (( COMP_CWORD > 1 )) && grep -qs '{MARK}' "$script" || return
    local word=${{line##* }} choices
    choices=$(COMP_LINE=$line "${{COMP_WORDS[0]/#\\~/$HOME}}" "$script" -sc query=bash 2> /dev/null)
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
    # bash replaces what follows the last = only
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && COMPREPLY=("${{COMPREPLY[@]#"${{word%=*}}="}}")
}}
complete -o default -o nospace -F _unmix python python3
"""

ZSH = f"""\
_unmix() {{
    local script=${{words[2]}}
    local -a choices
    if (( CURRENT > 2 )) && grep -qs '{MARK}' "$script"; then
        choices=(${{=$(COMP_LINE="${{(j: :)words[1,CURRENT]}}" ${{~words[1]}} "$script" -sc query=bash 2> /dev/null)}})
        compadd -S '' -a choices && return
        compset -P '*='
    fi
    _files
}}
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
compdef _unmix python python3
"""

FISH = f"""\
function __unmix_is_command
    set -l parts (commandline -opc)
    test (count $parts) -ge 2; and grep -qs '{MARK}' $parts[2]
end
function __unmix_words
    set -l parts (commandline -opc)
    set -lx COMP_LINE (commandline -cp)
    set -l choices ($parts[1] $parts[2] -sc query=fish 2> /dev/null)
    if test -z "$choices"
        # file names behind the equals sign
        set -l key (string match -r '^[^=]*=' -- (commandline -ct))
        set choices $key(__fish_complete_path (string replace -r '^[^=]*=' '' -- (commandline -ct)))
    end
    printf '%s\\n' $choices
end
complete -c python -n __unmix_is_command -f -a '(__unmix_words)'
complete -c python3 -n __unmix_is_command -f -a '(__unmix_words)'
"""

SCRIPTS = {
    "install=bash": BASH,
    "install=zsh": ZSH,
    "install=fish": FISH,
    "uninstall=bash": "complete -r python python3; unset -f _unmix\n",
    "uninstall=zsh": "compdef -d python python3; unfunction _unmix\n",
    "uninstall=fish": "complete -e -c python; complete -e -c python3; functions -e __unmix_is_command __unmix_words\n",
}
SEPARATORS = {"query=bash": " ", "query=fish": "\n"}  # of the words that are answered
