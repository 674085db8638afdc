/** What every script may use without asking. RFC 5228 */

import { addressText, envelopeAddress, outboundAddress, type SieveAddress } from '../address.ts'
import { asciiCasemap, octet } from '../comparators.ts'
import type { AddressPart, Answer, Arguments, Extension, Matching, Run, Test } from '../language.ts'
import { runLimits } from '../limits.ts'
import { contains, is, matches } from '../match-types.ts'
import type { HeaderField } from '../message.ts'
import { selectFields } from '../selection.ts'

const all: AddressPart = { name: 'all', of: (address) => addressText(address) }
const localPart: AddressPart = {
  name: 'localpart',
  of: (address) => (address.domain === undefined ? undefined : address.localPart),
}
const domain: AddressPart = { name: 'domain', of: (address) => address.domain }

const headerNames = { name: 'header-names', type: 'string-list' } as const
const keys = { name: 'keys', type: 'string-list' } as const

export const core: Extension = {
  capability: undefined,
  commands: [
    { name: 'stop', compile: () => (run) => run.stop() },
    {
      name: 'keep',
      compile: (given) => (run) => run.act(given.decorate({ type: 'keep', implicit: false }, run), given.position),
    },
    { name: 'discard', compile: (given) => (run) => run.act({ type: 'discard' }, given.position) },
    {
      name: 'redirect',
      positional: [{ name: 'address', type: 'string' }],
      compile(given, context) {
        const address = given.text('address')
        if (address.constant !== undefined && outboundAddress(address.constant) === undefined && !given.has('list'))
          context.error(address.position, notAnAddress(address.constant))
        return (run) => {
          const text = address.of(run)
          const found = given.has('list') ? undefined : outboundAddress(text)
          if (found === undefined && !given.has('list')) run.fail(address.position, notAnAddress(text))
          const to = found === undefined ? text : addressText(found)
          run.act(given.decorate({ type: 'redirect', address: to, copy: false }, run), given.position)
        }
      },
    },
  ],
  tests: [
    { name: 'true', compile: () => () => true },
    { name: 'false', compile: () => () => false },
    { name: 'not', tests: 'one', compile: ({ tests: [test] }) => negation(test!) },
    { name: 'allof', tests: 'list', compile: ({ tests }) => sequence(tests, false) },
    { name: 'anyof', tests: 'list', compile: ({ tests }) => sequence(tests, true) },
    {
      name: 'size',
      positional: [{ name: 'limit', type: 'number' }],
      tags: [{ name: 'over', excludes: ['under'] }, { name: 'under' }],
      compile(given, context) {
        const limit = given.number('limit')
        if (!given.has('over') && !given.has('under')) context.error(given.position, '"size" needs :over or :under')
        return given.has('over') ? (run) => run.message.sizeOctets > limit : (run) => run.message.sizeOctets < limit
      },
    },
    {
      name: 'exists',
      positional: [headerNames],
      compile(given) {
        const names = given.texts('header-names')
        return (run) => names.of(run).every((name) => run.message.fieldsNamed(name).length > 0)
      },
    },
    {
      name: 'header',
      positional: [headerNames, keys],
      matches: true,
      compile(given) {
        const names = given.texts('header-names')
        const select = selectFields(given)
        return (run) => {
          const fields = select(names.of(run).flatMap((name) => run.message.fieldsNamed(name)))
          return matchValues(fields, (field) => [field.text], given, run)
        }
      },
    },
    {
      name: 'address',
      positional: [{ name: 'header-list', type: 'string-list' }, keys],
      matches: true,
      addressParts: true,
      compile(given, context) {
        const names = given.texts('header-list')
        for (const name of names.items)
          if (name.constant !== undefined && notAddressFields.has(name.constant.toLowerCase()))
            context.error(name.position, `"${name.constant}" holds no addresses: test it with "header"`)
        const select = selectFields(given)
        return (run) => {
          const fields = select(names.of(run).flatMap((name) => run.message.fieldsNamed(name)))
          const { addressPart } = given
          const valuesOf = (field: HeaderField) =>
            addressPart === all ? field.addressTexts : partsOf(field.addresses, addressPart, run)
          return matchValues(fields, valuesOf, given, run)
        }
      },
    },
  ],
  matchTypes: [is, contains, matches],
  addressParts: [all, localPart, domain],
  comparators: [octet, asciiCasemap],
}

export const envelope: Extension = {
  capability: 'envelope',
  tests: [
    {
      name: 'envelope',
      positional: [{ name: 'envelope-part', type: 'string-list' }, keys],
      matches: true,
      addressParts: true,
      compile(given, context) {
        const parts = given.texts('envelope-part')
        for (const part of parts.items)
          if (part.constant !== undefined && !isEnvelopePart(part.constant))
            context.error(
              part.position,
              `there is no envelope part "${part.constant.slice(0, 60)}": use "from" or "to"`,
            )
        return (run) => {
          const values: string[] = []
          for (const part of parts.of(run)) {
            if (!isEnvelopePart(part))
              run.fail(parts.position, `there is no envelope part "${part.slice(0, 60)}": use "from" or "to"`)
            const path = part.toLowerCase() === 'from' ? run.message.envelope.from : run.message.envelope.to
            const address = envelopeAddress(path)
            // The null reverse-path is the empty string whatever part is asked for. RFC 5228 §5.4
            if (address.localPart === '' && address.domain === undefined) values.push('')
            else values.push(...partsOf([address], given.addressPart, run))
          }
          return given.matching.any(values, run)
        }
      },
    },
  ],
}

/** RFC 5228 §2.4.2.4; `strings.ts` does it. */
export const encodedCharacter: Extension = { capability: 'encoded-character', changesGrammar: true }

export const fileinto: Extension = {
  capability: 'fileinto',
  commands: [
    {
      name: 'fileinto',
      positional: [{ name: 'mailbox', type: 'string' }],
      compile(given, context) {
        const mailbox = given.text('mailbox')
        const problem = mailbox.constant === undefined ? undefined : mailboxProblem(mailbox.constant)
        if (problem !== undefined) context.error(mailbox.position, problem)
        return (run) => {
          const name = mailbox.of(run)
          const fault = mailboxProblem(name)
          if (fault !== undefined) run.fail(mailbox.position, fault)
          run.act(given.decorate({ type: 'fileinto', mailbox: name, copy: false }, run), given.position)
        }
      },
    },
  ],
}

/** Which octets a name may have is the store's to say; these no store takes. */
function mailboxProblem(name: string): string | undefined {
  if (name === '') return 'the name of the mailbox is empty: put a name here'
  if (/[\0-\x1f\x7f]/.test(name)) return 'there are control characters in the name of the mailbox: remove them'
  return name.isWellFormed() ? undefined : 'the name of the mailbox is no UTF-8: use characters'
}

const notAnAddress = (text: string) =>
  `"${text.slice(0, 100)}" is no address that mail can be sent to: write one such as "user@example.org"`

/** Well-known fields that hold something else. RFC 5228 §5.1 */
const notAddressFields: ReadonlySet<string> = new Set([
  'subject',
  'date',
  'message-id',
  'received',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
])

const isEnvelopePart = (part: string) => /^(?:from|to)$/i.test(part)

function partsOf(addresses: readonly SieveAddress[], part: AddressPart, run: Run): string[] {
  const separator = run.environment.detailSeparator ?? '+'
  return addresses.flatMap((address) => part.of(address, separator) ?? [])
}

/** What the fields hold against the keys; with pauses where there are very many. */
function matchValues(
  fields: readonly HeaderField[],
  valuesOf: (field: HeaderField) => readonly string[],
  { matching }: Arguments,
  run: Run,
): Answer<boolean> {
  run.spend(fields.length)
  if (fields.length === 1) return matching.any(valuesOf(fields[0]!), run)
  if (fields.length <= runLimits.turnFields) return matching.any(fields.flatMap(valuesOf), run)
  return matchManyValues(fields, valuesOf, matching, run)
}

async function matchManyValues(
  fields: readonly HeaderField[],
  valuesOf: (field: HeaderField) => readonly string[],
  matching: Matching,
  run: Run,
): Promise<boolean> {
  const values: string[] = []
  for (let at = 0; at < fields.length; at += runLimits.turnFields) {
    for (const field of fields.slice(at, at + runLimits.turnFields))
      for (const value of valuesOf(field)) values.push(value)
    await run.breathe()
  }
  return matching.any(values, run)
}

function negation(test: Test): Test {
  return (run) => {
    const answer = test(run)
    return typeof answer === 'boolean' ? !answer : answer.then((result) => !result)
  }
}

/** The tests from left to right up to the first that decides. */
function sequence(tests: readonly Test[], deciding: boolean): Test {
  const from = (index: number, run: Run): Answer<boolean> => {
    for (let at = index; at < tests.length; at++) {
      const answer = tests[at]!(run)
      if (answer === deciding) return deciding
      if (typeof answer !== 'boolean') return later(answer, at, run)
    }
    return !deciding
  }
  const later = async (answer: Promise<boolean>, at: number, run: Run): Promise<boolean> =>
    (await answer) === deciding ? deciding : from(at + 1, run)
  return (run) => from(0, run)
}
