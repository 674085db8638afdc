/** What waves are told in. */
import type { WaveSummary } from '../../../auth/ms-syncd-waves.ts'

export const octetsText = (octets: number): string => {
  const units = ['octets', 'KB', 'MB', 'GB', 'TB']
  let value = octets
  let unit = 0
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_024
    unit += 1
  }
  return unit === 0 ? `${octets} octets` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`
}

export const durationText = (ms: number): string => {
  const seconds = Math.max(0, Math.ceil(ms / 1_000))
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.ceil(seconds / 60)
  if (minutes < 120) return `${minutes} min`
  const hours = minutes / 60
  return hours < 48 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(1)} days`
}

/** Local time, to the minute. */
export const dateText = (ms: number): string => {
  const date = new Date(ms)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`
}

export const statesText = ({ states }: WaveSummary): string =>
  Object.entries(states)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ')

/** What is here, of what will be. */
export const amountText = ({ messages, messagesThere, octets, octetsThere }: WaveSummary): string =>
  `${messages}${messagesThere > 0 ? ` of ${messagesThere}` : ''} messages, ${octetsText(octets)}${octetsThere > 0 ? ` of ${octetsText(octetsThere)}` : ''}`

/** A line: where the wave is. */
export const progressText = (wave: WaveSummary, now: number): string => {
  const { name, state, task, members, done, failed, running, eta } = wave
  const parts = [
    `${name} ${state}`,
    task === undefined ? `${members} users` : `${done} of ${members} users`,
    ...(running === 0 ? [] : [`${running} at the same time`]),
    amountText(wave),
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(eta === undefined ? [] : [`about ${durationText(eta - now)} left`]),
  ]
  return parts.join(', ')
}
