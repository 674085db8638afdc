/** What `mbox help` and the shells are told. */
import { serviceNames } from './services.ts'

export const verbs = [
  'run',
  'start',
  'stop',
  'status',
  'enable',
  'disable',
  'check-config',
  'completion',
  'help',
] as const
export type Verb = (typeof verbs)[number]

/** Those that --json makes print JSON. */
export const takesJson: readonly Verb[] = ['run', 'status', 'check-config']

/** What `mbox help` prints. */
export const usage = `mbox: the services of Wherry

  mbox [-c FILE] run [--json]           enabled services in the foreground, until SIGTERM or Ctrl-C; with --json
                                        a line on stdout when all answer: {"ready":true,"addresses":[…]}
  mbox [-c FILE] start [SERVICE...]     in the background: the enabled ones, or those named
  mbox [-c FILE] stop [SERVICE...]      all that run, or those named
  mbox [-c FILE] status [--json]        which are enabled and which run
  mbox [-c FILE] enable SERVICE...      from the next start on
  mbox [-c FILE] disable SERVICE...
  mbox [-c FILE] check-config [--json]  what is wrong or doubtful in the configuration
  mbox completion bash                  completion for the shell
  mbox help

  -c FILE   configuration file (default /etc/isode/ms.conf)
  SERVICE   ${serviceNames.join(', ')};
            lmtpd, which takes mail in, ms_syncd, the gateway's, and msadmind, which removes old mail that nobody
            can bring back, are enabled by hand

Examples
  mbox -c etc/ms.conf check-config && mbox -c etc/ms.conf run
  mbox enable ms_syncd && mbox stop && mbox start
  mbox status --json
  source <(mbox completion bash)

Exit status: 0 done (status: every enabled service runs), 1 a service could not be started or stopped, 3 status: an enabled
service does not run, 4 status: a pid file can't be read by this user, 64 wrong arguments, 78 wrong configuration
`

/** For bash; the words come from the tables that mbox itself goes by. */
export const bashCompletion = `_mbox() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} i verb=
  if [ "$previous" = -c ]; then
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
    -c) ((i++)) ;;
    -*) ;;
    *) verb=\${COMP_WORDS[i]}; break ;;
    esac
  done
  case $verb in
  '') COMPREPLY=($(compgen -W "-c --json ${verbs.join(' ')}" -- "$word")) ;;
  start | stop | enable | disable) COMPREPLY=($(compgen -W "${serviceNames.join(' ')}" -- "$word")) ;;
  ${takesJson.join(' | ')}) COMPREPLY=($(compgen -W "--json" -- "$word")) ;;
  completion) COMPREPLY=($(compgen -W "bash" -- "$word")) ;;
  esac
}
complete -F _mbox mbox
`
