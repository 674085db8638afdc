import { systemClock } from '../../../base/clock.ts'
import type { MoveProgress } from '../../../store/types.ts'
import { type Command, type Context, canonical, readArguments, UsageError } from '../command.ts'
import { untilInterrupted } from '../interrupt.ts'

const everyMs = 1000

const megabytes = (octets: number) => `${(octets / 1_000_000).toFixed(1)} MB`

/** Tells how far a move is, about once a second and at each new phase. */
const reporter = (context: Context) => {
  const beganMs = systemClock.monotonic()
  let toldMs = Number.NEGATIVE_INFINITY
  let told: MoveProgress['phase'] | undefined
  return ({ phase, files, octets, ofFiles, ofOctets }: MoveProgress): void => {
    const now = systemClock.monotonic()
    if (phase === told && now - toldMs < everyMs) return
    toldMs = now
    told = phase
    // Octets take the time of a large message, files that of many small ones: the slower of both tells how long it takes.
    const share = Math.min(files / Math.max(1, ofFiles), ofOctets === 0 ? 1 : octets / ofOctets, 1)
    const secondsLeft =
      phase === 'copying' && share > 0 ? Math.ceil(((now - beganMs) / 1000 / share) * (1 - share)) : undefined
    const left = secondsLeft === undefined ? '' : `, about ${secondsLeft} s left`
    const text = `${phase}: ${files} of ${ofFiles} files, ${megabytes(octets)} of ${megabytes(ofOctets)}${left}`
    context.note(text)
    if (context.json) context.print(text, { phase, files, octets, ofFiles, ofOctets, secondsLeft })
  }
}

export const move: Command = {
  name: 'move',
  usage: 'move [-V] [-q] [-w seconds] userid directory',
  summary: "moves a user's mail to another partition while the services run",
  details: `  -V           reads every message back and compares its digest
  -q           tells nothing until it is done
  -w seconds   waits so long with the account frozen, before the last look: where several machines share the mail over a
               network, as long as their mounts remember names (NFS: acdirmax, 60 unless set)

directory is userdir or one of partitions. Most is copied while the user works; then the account is frozen for the rest, usually for less
than a second: sessions end with a temporary error and find everything as it was when they come back. Control-C, or a failure,
leaves the mail where it was; the next attempt goes on with what was copied.

Examples
  msadm move joe@example.org /mnt/disk2/user      msadm --json move -V joe@example.org /var/isode/ms/user`,
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, {
      V: { type: 'boolean', short: 'V' },
      q: { type: 'boolean', short: 'q' },
      w: { type: 'string', short: 'w' },
    })
    const [given, directory, ...more] = positionals
    if (given === undefined || directory === undefined || more.length > 0)
      throw new UsageError('a userid and a directory are needed, for example joe@example.org /mnt/disk2/user')
    if (values.w !== undefined && !/^\d{1,4}$/.test(values.w))
      throw new UsageError('-w takes a number of seconds from 0 to 9999')
    const userId = canonical(given, context)
    await untilInterrupted('interrupted; the mail is where it was', async (signal) => {
      const result = await context.store().move(userId, directory, {
        verify: values.V === true,
        signal,
        ...(values.w !== undefined && { waitMs: Number(values.w) * 1000 }),
        ...(values.q !== true && { onProgress: reporter(context) }),
      })
      const { from, to, files, octets, damaged, frozenMs } = result
      const copied = `${files} files, ${megabytes(octets)}; frozen for ${Math.ceil(frozenMs)} ms`
      context.print(`moved ${userId} from ${from} to ${to} (${copied})`, { userId, ...result })
      if (damaged > 0) context.note(`${damaged} messages were damaged before, and were moved as they are`)
    })
  },
}
