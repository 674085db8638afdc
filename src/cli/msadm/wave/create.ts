/** Puts the users of a CSV file into a wave. */
import type { WaveMemberRequest } from '../../../auth/ms-syncd-waves.ts'
import { connected } from '../../event-bus.ts'
import { type ListedAccount, type Reading, readAccountsFile } from '../accounts-file.ts'
import { CommandError, type Context, canonical, UsageError, usable } from '../command.ts'
import { checkOwnRoot, readProperty } from '../commands/add.ts'
import { ask } from './ask.ts'

/** In a request: it stays well below the limit of a frame. */
const membersAtOnce = 200
const maxTold = 20

const readingFor = (context: Context): Reading => ({
  canonical: (given) => canonical(given, context),
  property: (word) => {
    const property = readProperty(word)
    checkOwnRoot([property], context)
    return property
  },
  password: (text) => (text === '' ? Buffer.alloc(0) : usable(Buffer.from(text))),
  own: ['priority'],
  check: ({ own: { priority = '' } }) => void readPriority(priority),
  undone: 'the wave is as it was',
})

/** Undefined for ''. Throws UsageError. */
export const readPriority = (text: string): number | undefined => {
  if (text === '') return undefined
  if (!/^-?\d{1,6}$/.test(text))
    throw new UsageError(`${JSON.stringify(text)} is no priority; take a whole number, higher ones come first`)
  return Number(text)
}

/** All of them, or none: throws CommandError with the lines that are wrong. */
export const createWave = async (name: string, file: string, context: Context): Promise<void> => {
  const users = await readAccountsFile(file, readingFor(context))
  if (users.length === 0) throw new CommandError(`${file} names nobody`)
  try {
    await using bus = await connected(context.config, 'msadm')
    const faults: string[] = []
    for (const batch of batches(users)) {
      const lines = new Map<string, number>(batch.map(({ userId, line }) => [userId, line]))
      const checked = await ask(bus, { type: 'wave', verb: 'check', name, userIds: [...lines.keys()] })
      for (const [userId, text] of checked.faults) faults.push(`${file}:${lines.get(userId)}: ${userId} ${text}`)
    }
    if (faults.length > 0) {
      const more = faults.length > maxTold ? [`and ${faults.length - maxTold} more`] : []
      throw new CommandError(['the wave is as it was:', ...faults.slice(0, maxTold), ...more].join('\n  '))
    }
    const counts = { added: 0, known: 0 }
    for (const batch of batches(users)) {
      const { added, known } = await ask(bus, { type: 'wave', verb: 'add', name, members: batch.map(memberOf) })
      counts.added += added
      counts.known += known
    }
    const were = counts.known === 0 ? '' : `, ${counts.known} were in it already`
    context.print(`${name}: ${counts.added} users added${were}`, { name, ...counts })
  } finally {
    for (const { password } of users) password?.fill(0)
  }
}

const memberOf = ({ given, userId, password, properties, own }: ListedAccount): WaveMemberRequest => {
  const priority = readPriority(own.priority ?? '')
  return {
    given,
    userId,
    ...(password === undefined || password.length === 0 ? {} : { password: password.toString('base64') }),
    ...(priority === undefined ? {} : { priority }),
    properties,
  }
}

function* batches<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += membersAtOnce) yield items.slice(from, from + membersAtOnce)
}
