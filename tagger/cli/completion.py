"""`tag-genres completion SHELL`: a script by which the shell asks this program what may follow.

The scripts set `_TAG_GENRES_COMPLETE`, which click's `main` answers, and pass the line up to the
cursor. The answer has a line for each candidate: its kind (plain, file or dir), itself, its help.
"""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    split_arg_string,
)

from tagger.cli.command import Command
from tagger.cli.values import Choice
from tagger.report.escape import printable

CURSOR = "\x1f"  # put behind the line, it belongs to the word that is being typed

# Only the part of a word behind "=" is replaced. A value is quoted, unless the user began with a
# quote; paths are left to the shell, which knows about "~", spaces and the user's settings.
BASH = """\
# bash completion for tag-genres; it needs nothing but bash 4.4

_tag_genres_completion() {
    local IFS=$'\\n' kind value text files= cur=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    while IFS=$'\\t' read -r kind value text; do
        case $kind in
            plain)
                [[ $cur == [\\"\\']* ]] || printf -v value %q "$value"
                COMPREPLY+=("$value") ;;
            file) files=-f ;;
            dir) files=-d ;;
        esac
    done < <(COMP_WORDS="${COMP_WORDS[*]:0:COMP_CWORD+1}" _TAG_GENRES_COMPLETE=bash_complete \\
        "${1/#\\~/$HOME}" 2>/dev/null)
    if [[ $files && ${#COMPREPLY[@]} -eq 0 ]]; then
        [[ $files == -d ]] && compopt -o dirnames || compopt -o default
    elif [[ $files && $cur != *[\\"\\'\\\\~]* ]]; then
        compopt -o filenames
        while read -r value; do
            COMPREPLY+=("$value")
        done < <(compgen $files -- "$cur")
    fi
}

complete -o nosort -F _tag_genres_completion tag-genres
"""
ZSH = """\
#compdef tag-genres
# zsh completion for tag-genres

_tag_genres_completion() {
    local kind value text files
    local -a plain described
    while IFS=$'\\t' read -r kind value text; do
        case $kind in
            plain)
                if [[ -n $text ]]; then
                    described+=("${value//:/\\\\:}:$text")
                else
                    plain+=("$value")
                fi ;;
            file) files=-f ;;
            dir) files=-/ ;;
        esac
    done < <(COMP_WORDS="${(F)words[1,CURRENT]}" _TAG_GENRES_COMPLETE=zsh_complete \\
        ${~words[1]} 2>/dev/null)
    [[ $PREFIX == --*=* ]] && compset -P '*='
    (( $#described )) && _describe -V tag-genres described
    (( $#plain )) && compadd -M 'm:{a-zA-Z}={A-Za-z}' -V tag-genres -a plain
    [[ -n $files ]] && _files ${files:#-f}
    return 0
}

if [[ $funcstack[1] == _tag-genres ]]; then  # it is a file of $fpath
    _tag_genres_completion "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
    compdef _tag_genres_completion tag-genres
fi
"""
FISH = """\
# fish completion for tag-genres

function __tag_genres_completion
    set -l prefix (string match -r -- '^--[^=]+=' (commandline -ct))
    set -l typed (string replace -r -- '^--[^=]+=' '' (commandline -ct))
    set -l program (commandline -opc)[1]
    command -q $program; or return
    COMP_WORDS=(commandline -cp | string collect) _TAG_GENRES_COMPLETE=fish_complete \\
        $program 2>/dev/null | while read -d \\t -l kind value text
        switch $kind
            case plain
                printf '%s%s\\t%s\\n' "$prefix" "$value" "$text"
            case file
                for path in (__fish_complete_path "$typed")
                    printf '%s%s\\n' "$prefix" "$path"
                end
            case dir
                for path in (__fish_complete_directories "$typed")
                    printf '%s%s\\n' "$prefix" "$path"
                end
        end
    end
end

complete -c tag-genres -f -a '(__tag_genres_completion)'
"""


class Completion(ShellComplete):
    """The common part of the three shells."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the one at it, both without their quotes."""
        *words, last = split_arg_string(os.environ["COMP_WORDS"] + CURSOR)
        # bash splits "--model=ast" into three words.
        before = [word for at, word in enumerate(words) if word != "=" or words[at - 1][:2] != "--"]
        return before[1:], last.removesuffix(CURSOR)

    def format_completion(self, item: CompletionItem) -> str:
        """A line of the answer."""
        return "\t".join(map(printable, (item.type, str(item.value), item.help or "")))


@add_completion_class
class Bash(Completion):
    """bash."""

    name = "bash"
    source_template = BASH


@add_completion_class
class Zsh(Completion):
    """zsh."""

    name = "zsh"
    source_template = ZSH


@add_completion_class
class Fish(Completion):
    """fish."""

    name = "fish"
    source_template = FISH


SCRIPTS = {shell.name: shell.source_template for shell in (Bash, Zsh, Fish)}


@click.command(cls=Command)
@click.argument("shell", type=Choice(tuple(SCRIPTS)))
def completion(shell: str) -> None:
    """Print completion for bash, zsh or fish.

    Put it where your shell reads it, and start a new shell:

    \b
    bash: add this line to ~/.bashrc
      eval "$(tag-genres completion bash)"
    zsh: add this line to ~/.zshrc
      eval "$(tag-genres completion zsh)"
    fish: run this command once
      tag-genres completion fish > ~/.config/fish/completions/tag-genres.fish

    The script may also be saved to a file: for bash in
    ~/.local/share/bash-completion/completions/tag-genres, for zsh as _tag-genres in a folder of
    $fpath.
    """  # noqa: D301 (click takes \b as a mark: it does not wrap the paragraph)
    click.echo(SCRIPTS[shell], nl=False)
