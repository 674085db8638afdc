/** Completion of msadm for shells: `source <(msadm --completion bash)`, `source <(msadm --completion zsh)`. */

import { type Command, UsageError } from './command.ts'
import { commands } from './commands.ts'

/** Switches of a command, out of its help, and the words that it knows. */
const wordsOf = ({ details, words = [] }: Command): string =>
  [...Array.from(details.matchAll(/^ {2}(-\w|--[\w-]+)/gm), (match) => match[1]), ...words].join(' ')

const names = () => `${commands.map(({ name }) => name).join(' ')} -c --json --help --completion`

const bash = () => `_msadm() {
  local words='${names()}' word skip=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$skip" ]; then skip=; continue; fi
    case $word in
    -c) skip=1 ;;
${commands.map((command) => `    ${command.name}) words='${wordsOf(command)}'; break ;;`).join('\n')}
    esac
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _msadm msadm
`

const zsh = () => `#compdef msadm
_msadm() {
  local -a candidates=(${names()})
  local word skip=
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $skip ]]; then skip=; continue; fi
    case $word in
    -c) skip=1 ;;
${commands.map((command) => `    ${command.name}) candidates=(${wordsOf(command)}); break ;;`).join('\n')}
    esac
  done
  compadd -a candidates || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -D }
compdef _msadm msadm
`

const scripts: Readonly<Record<string, () => string>> = { bash, zsh }

/** Throws UsageError. */
export const completion = (shell: string): string => {
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
  if (script === undefined)
    throw new UsageError(
      `there is no completion for ${JSON.stringify(shell)}; there is one for ${Object.keys(scripts).join(' and ')}`,
    )
  return script()
}
