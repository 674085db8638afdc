import { systemClock } from '../../../base/clock.ts'
import { sharingOf } from '../../../sharing/sharing.ts'
import { sharedFoldersPrefix } from '../../../sharing/trees.ts'
import { nodeFs } from '../../../store/fs.ts'
import type { Finding, Severity } from '../../../store/verify/finding.ts'
import { verify as verifyStore } from '../../../store/verify/verify.ts'
import { type Command, CommandError, type Context, canonical, readArguments } from '../command.ts'
import { Progress } from '../progress.ts'

export const verify: Command = {
  name: 'verify',
  usage: 'verify [-r] [--deep] [--progress] [userid ...]',
  summary: 'checks the mail of users, or of all, while the services run, and repairs it',
  details: `  -r           repairs what it finds: logs are rebuilt, a damaged message is put into quarantine and a notice into its place,
               strays are put into quarantine, caches dropped, modes and owners set, left-overs removed
  --deep       parses every message and compares it with the cache; else a sample
  --progress   tells on standard error how far it is, also when that is no terminal

Shared roots are checked with all users. Archives are checked as well, and never repaired.
Quarantine is the directory .quarantine in the account's own; nothing is ever deleted there.
Severities: damage (mail or its order is lost or will be), warning, note (left-overs that cost room only).
Exit status: 0 no damage, or all of it repaired; 1 damage is left.

Examples
  msadm verify                                msadm verify -r joe@example.org
  msadm --json verify --deep | grep '"severity":"damage"'`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      r: { type: 'boolean', short: 'r' },
      deep: { type: 'boolean' },
      progress: { type: 'boolean' },
    })
    const userIds = positionals.map((given) => canonical(given, context))
    const progress = new Progress(systemClock, context.showProgress(values.progress === true))
    const found: Finding[] = []
    const counts = new Map<string, { severity: Severity; found: number; repaired: number }>()
    const count = ({ kind, severity, repaired }: Finding) => {
      const row = counts.get(kind) ?? { severity, found: 0, repaired: 0 }
      counts.set(kind, row)
      row.found += 1
      if (repaired === true) row.repaired += 1
    }
    const unknown = await verifyStore({
      fs: nodeFs,
      clock: systemClock,
      repair: values.r === true,
      deep: values.deep === true,
      openStore: context.openStore,
      roots: [context.config.get('userdir'), ...context.config.all('partitions')],
      archives: context.config.all('archives'),
      trees: sharingOf(context.config).trees.map(({ name, directory }) => ({
        name: sharedFoldersPrefix + name,
        directory,
      })),
      userIds: userIds.length === 0 ? undefined : userIds,
      onFinding: (finding) => {
        count(finding)
        progress.clear()
        context.print(lineOf(finding), valuesOf(finding))
        if (finding.severity === 'damage' && finding.repaired !== true) found.push(finding)
      },
      onStep: (step) => progress.step(step),
      onAccounts: (accounts) => progress.accounts(accounts),
    })
    progress.end()
    summarise(counts, progress, values.r === true, context)
    if (unknown.length > 0) throw new CommandError(`there is no mail of ${unknown.join(', ')}`)
    if (found.length > 0) throw new CommandError(`damage is left: ${found.length} of what is told above`)
  },
}

function placeOf({ userId, mailbox, uid, path }: Finding): string {
  const place = [userId, mailbox && JSON.stringify(mailbox), uid !== undefined && `UID ${uid}`].filter(Boolean)
  return [...place, path].join(' ')
}

function lineOf(finding: Finding): string {
  const { severity, kind, means, detail, repair, repaired, failure } = finding
  const outcome =
    repaired === undefined ? `-r ${repair}` : repaired ? 'repaired' : `not repaired${failure ? `: ${failure}` : ''}`
  return `${severity} ${kind}: ${placeOf(finding)}: ${means}${detail === undefined ? '' : ` (${detail})`}; ${outcome}`
}

function valuesOf(finding: Finding): Readonly<Record<string, unknown>> {
  const { kind, severity, userId, mailbox, uid, path, detail, means, repair, repaired, failure } = finding
  return { kind, severity, userId, mailbox, uid, path, detail, means, repair, repaired, failure }
}

function summarise(
  counts: ReadonlyMap<string, { severity: Severity; found: number; repaired: number }>,
  { checked }: Progress,
  repair: boolean,
  { print }: Pick<Context, 'print'>,
): void {
  const { accounts, mailboxes, messages, octets } = checked
  const width = Math.max(0, ...Array.from(counts.keys(), (kind) => kind.length))
  const rows = Array.from(
    counts,
    ([kind, { severity, found, repaired }]) =>
      `${kind.padEnd(width)}  ${severity.padEnd(7)}  ${found} found${repair ? `, ${repaired} repaired` : ''}`,
  )
  const counted = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`
  const looked = `looked at ${counted(accounts, 'account')}, ${counted(mailboxes, 'mailbox', 'mailboxes')}, ${counted(messages, 'message')}, ${counted(octets, 'octet')}`
  print([looked, ...(rows.length === 0 ? ['nothing was found'] : rows)].join('\n'), {
    summary: { ...checked, kinds: Object.fromEntries(counts) },
  })
}
