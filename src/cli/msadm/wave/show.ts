/** Prints what ms_syncd tells of waves. */
import type { WavePlan, WaveRisk, WaveSummary } from '../../../auth/ms-syncd-waves.ts'
import type { EventBus } from '../../../events/types.ts'
import type { Context } from '../command.ts'
import { ask, pages } from './ask.ts'
import { dateText, durationText, octetsText, statesText } from './words.ts'

export const showList = async (bus: EventBus, { print, note }: Context): Promise<void> => {
  const { waves, damaged } = await ask(bus, { type: 'wave', verb: 'list' })
  for (const wave of waves)
    print(
      `${wave.name.padEnd(20)} ${wave.state.padEnd(10)} ${String(wave.members).padStart(6)} users  ${statesText(wave)}`,
      wave,
    )
  for (const text of damaged) note(text)
  if (waves.length === 0) note('there are no waves; msadm wave create NAME -f users.csv makes one')
}

export const showSummary = (wave: WaveSummary, { print }: Context): void => {
  const {
    name,
    state,
    task,
    members,
    messages,
    messagesThere,
    octets,
    octetsThere,
    limits,
    cutOver,
    closing,
    closed,
    stragglers,
    eta,
  } = wave
  const lines = [
    `${name}: ${state}${task !== undefined && state === 'paused' ? ` in ${task}` : ''}, ${members} users (${statesText(wave)})`,
    `  here ${messages} messages, ${octetsText(octets)}${messagesThere > 0 ? `; at the old servers ${messagesThere} messages, ${octetsText(octetsThere)}` : ''}`,
    ...(task === undefined
      ? []
      : [
          `  ${task}: through with ${wave.done}, at the same time ${wave.running}, failed ${wave.failed}${eta === undefined ? '' : `, done about ${dateText(eta)}`}`,
        ]),
    `  limits: ${limits.atOnce} users at the same time, ${limits.perHost === 0 ? 'no limit' : limits.perHost} at one old server, accounts of up to ${limits.accountMb === 0 ? 'any size' : `${limits.accountMb} MB`}`,
    ...(cutOver === undefined
      ? []
      : [
          `  cut over ${dateText(cutOver)}${closing === undefined ? '' : `, closing date ${dateText(closing)}`}${closed === undefined ? '' : `, closed ${dateText(closed)}`}; ${stragglers} stragglers`,
        ]),
  ]
  print(lines.join('\n'), wave)
}

/** `all`: every member; else those who need somebody. */
export const showStatus = async (bus: EventBus, name: string, all: boolean, context: Context): Promise<void> => {
  let isFirst = true
  for await (const { wave, members } of pages(bus, 'status', name)) {
    if (isFirst) showSummary(wave, context)
    isFirst = false
    for (const member of members) {
      const { userId, state, reason, priority, messages, messagesThere } = member
      if (!all && reason === undefined && state !== 'left-out') continue
      const count = messagesThere === undefined ? `${messages}` : `${messages} of ${messagesThere}`
      context.print(
        `  ${userId}  ${state}${priority === 0 ? '' : `, priority ${priority}`}, ${count} messages${reason === undefined ? '' : `: ${reason}`}`,
        member,
      )
    }
  }
}

/** Answers members who can't be moved as it is. */
export const showPlan = async (bus: EventBus, name: string, context: Context): Promise<void> => {
  let isFirst = true
  const byKind = new Map<string, WaveRisk[]>()
  for await (const { plan, risks } of pages(bus, 'plan', name)) {
    if (isFirst) showForecast(name, plan, context)
    isFirst = false
    for (const risk of risks) {
      const known = byKind.get(risk.kind)
      if (known === undefined) byKind.set(risk.kind, [risk])
      else known.push(risk)
    }
  }
  const kinds = [...byKind.values()].toSorted((a, b) => Number(b[0]!.isBlocking) - Number(a[0]!.isBlocking))
  if (context.json) for (const risk of kinds.flat()) context.print('', risk)
  else
    for (const risks of kinds) {
      const { kind, advice, isBlocking } = risks[0]!
      context.print(`${kind}${isBlocking ? ' (not moved like that)' : ''}: ${risks.length}\n  ${advice}`, {})
      for (const { userId, found } of risks) context.print(`    ${userId}: ${found}`, {})
    }
}

const showForecast = (name: string, plan: WavePlan, { print }: Context): void => {
  const { members, unknown, blocked, messages, octets, mailboxes, largest, ms, measured, hosts } = plan
  const basis =
    measured === 0
      ? 'a guess: nothing was pulled from there yet; msadm wave start -n 10 measures with the first ten users'
      : `by ${measured} users who were pulled`
  const lines = [
    `${name}: ${members} users, ${mailboxes} mailboxes, ${messages} messages, ${octetsText(octets)}, the largest message ${octetsText(largest)}`,
    ...(unknown === 0 ? [] : [`  ${unknown} users have no inventory: msadm wave inventory ${name}`]),
    ...(blocked === 0 ? [] : [`  ${blocked} users can't be moved as it is`]),
    `  forecast: ${durationText(ms)} (${basis})`,
    ...hosts.map(
      ({ host, members, messages, octets, cost, connections }) =>
        `  ${host}: ${members} users, ${messages} messages, ${octetsText(octets)} to come; ${Math.round(cost.account)} ms for each user, ${cost.message.toFixed(1)} for each message, ${Math.round(cost.mb)} for each MB${connections === undefined ? '' : `; it asked for fewer than ${connections + 1} sessions at the same time`}`,
    ),
  ]
  print(lines.join('\n'), plan)
}

export const showStragglers = async (bus: EventBus, name: string, { print, note, json }: Context): Promise<void> => {
  const senders = new Map<string, number>()
  let more = 0
  let count = 0
  for await (const answer of pages(bus, 'stragglers', name)) {
    more += answer.more
    for (const straggler of answer.stragglers) {
      const { userId, at, mailbox, from, subject } = straggler
      count += 1
      senders.set(from, (senders.get(from) ?? 0) + 1)
      print(`${dateText(at)}  ${userId} ${mailbox}  ${from}  ${subject}`, straggler)
    }
  }
  if (json) return
  if (more > 0) print(`and ${more} older ones`, {})
  if (count === 0) note('no mail has come to the old servers since the cutover, as far as they were asked')
  for (const [from, number] of [...senders].toSorted((a, b) => b[1] - a[1]))
    print(`${String(number).padStart(6)}  ${from}`, {})
}
