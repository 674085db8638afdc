/** Follows a wave: in place on a terminal, else a line whenever something changed. */
import type { WaveMember, WaveSummary } from '../../../auth/ms-syncd-waves.ts'
import { systemClock } from '../../../base/clock.ts'
import type { EventBus } from '../../../events/types.ts'
import type { Context } from '../command.ts'
import { NotAnswered } from '../ms-syncd.ts'
import { ask } from './ask.ts'
import { amountText, durationText, octetsText, progressText, statesText } from './words.ts'

const everyMs = 1_000
const shownMembers = 12
/** ms_syncd is being restarted. */
const awayMs = 60_000

/** `until`: whether it is enough. Throws CommandError, and the signal's reason. Answers the wave as it was then. */
export const follow = async (
  bus: EventBus,
  name: string,
  context: Context,
  until: (wave: WaveSummary) => boolean,
  { signal, quiet }: { readonly signal: AbortSignal; readonly quiet: boolean },
): Promise<WaveSummary> => {
  const screen = quiet ? undefined : context.showScreen()
  let last = ''
  let answeredMs = systemClock.monotonic()
  try {
    for (;;) {
      const answer = await ask(bus, { type: 'wave', verb: 'status', name }).catch((error: unknown) => {
        if (!(error instanceof NotAnswered) || systemClock.monotonic() - answeredMs > awayMs) throw error
      })
      if (answer === undefined) {
        await systemClock.sleep(everyMs, signal)
        continue
      }
      answeredMs = systemClock.monotonic()
      const { wave, foremost } = answer
      if (screen !== undefined) screen(screenOf(wave, foremost))
      else if (!quiet) {
        const line = progressText(wave, systemClock.now())
        // What only shrinks by itself is no news.
        const news = JSON.stringify({ ...wave, eta: 0 })
        if (news !== last) context.print(line, wave)
        last = news
      }
      if (until(wave)) return wave
      await systemClock.sleep(everyMs, signal)
    }
  } finally {
    screen?.('end')
  }
}

const bar = (part: number, width: number): string => {
  const full = Math.round(Math.min(1, Math.max(0, part)) * width)
  return `[${'#'.repeat(full)}${'.'.repeat(width - full)}]`
}

/** The first two lines fit 80 columns, whatever is in them. */
export const screenOf = (wave: WaveSummary, foremost: readonly WaveMember[]): readonly string[] => {
  const { name, state, task, members, done, failed, running, eta } = wave
  // Without a task it is through with the last one.
  const part = task === undefined || members === 0 ? 1 : done / wave.members
  const row = ({ userId, isRunning, messages, messagesThere, octets, reason }: WaveMember) =>
    reason !== undefined && !isRunning
      ? `  ! ${userId}: ${reason}`
      : `  > ${userId.padEnd(32)} ${messages}${messagesThere === undefined ? '' : ` of ${messagesThere}`} messages, ${octetsText(octets)}`
  const rows = foremost.map(row)
  const left = eta === undefined ? '' : `, about ${durationText(eta - systemClock.now())} left`
  return [
    `${bar(part, 20)} ${Math.floor(100 * part)} % ${state}${left}${failed === 0 ? '' : `, ${failed} failed`}  ${name}`,
    `${amountText(wave)}, ${running} of ${members} users at the same time`,
    statesText(wave),
    ...rows.slice(0, shownMembers),
    ...(rows.length > shownMembers ? [`  and others: msadm wave status ${name}`] : []),
  ]
}
