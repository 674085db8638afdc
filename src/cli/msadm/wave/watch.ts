/** Follows a wave: in place on a terminal, else a line whenever something changed. */
import type { WaveMember, WaveSummary } from '../../../auth/ms-syncd-waves.ts'
import { systemClock } from '../../../base/clock.ts'
import type { EventBus } from '../../../events/types.ts'
import type { Context } from '../command.ts'
import { ask, NotAsked } from './ask.ts'
import { octetsText, progressText, statesText } from './words.ts'

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
        if (!(error instanceof NotAsked) || systemClock.monotonic() - answeredMs > awayMs) throw error
      })
      if (answer === undefined) {
        await systemClock.sleep(everyMs, signal)
        continue
      }
      answeredMs = systemClock.monotonic()
      const { wave, members } = answer
      if (screen !== undefined) screen(screenOf(wave, members))
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

export const screenOf = (wave: WaveSummary, members: readonly WaveMember[]): readonly string[] => {
  const running = members.filter(({ isRunning }) => isRunning)
  const failed = members.filter(({ reason, isRunning }) => reason !== undefined && !isRunning)
  const part = wave.members === 0 ? 0 : wave.done / wave.members
  const row = ({ userId, state, messages, messagesThere, octets, reason }: WaveMember) =>
    reason !== undefined && state !== 'pulling'
      ? `  ! ${userId}: ${reason}`
      : `  > ${userId.padEnd(32)} ${messages}${messagesThere === undefined ? '' : ` of ${messagesThere}`} messages, ${octetsText(octets)}`
  const rows = [...running.map(row), ...failed.map(row)]
  return [
    progressText(wave, systemClock.now()),
    `${bar(part, 40)} ${Math.floor(100 * part)} %   ${statesText(wave)}`,
    ...rows.slice(0, shownMembers),
    ...(rows.length > shownMembers ? [`  and ${rows.length - shownMembers} more: msadm wave status ${wave.name}`] : []),
  ]
}
