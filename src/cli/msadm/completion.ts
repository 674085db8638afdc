/** Completion of msadm for bash: `source <(msadm --completion bash)`. */

import { UsageError } from './command.ts'
import { commands } from './commands.ts'

/** Switches of a command, out of its help. */
const switches = (details: string) => [...details.matchAll(/^ {2}(-\w|--[\w-]+)/gm)].map((match) => match[1]).join(' ')

export const completion = (shell: string): string => {
  if (shell !== 'bash')
    throw new UsageError(`there is no completion for ${JSON.stringify(shell)}; there is one for bash`)
  const cases = commands.map(({ name, details }) => `    ${name}) words='${switches(details)}' ;;`)
  return `_msadm() {
  local words='${commands.map(({ name }) => name).join(' ')} -c --json --help' word skip=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$skip" ]; then skip=; continue; fi
    case $word in
    -c) skip=1 ;;
${cases.join('\n')}
    esac
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _msadm msadm
`
}
