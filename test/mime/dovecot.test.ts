/** What Dovecot answers about every message at hand, against what we make of the same octets. Reasons for differences: docs/mime-differences.md */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scan } from '../../src/mime/scan.ts'
import { findSection, selectFields, splitHeader } from '../../src/mime/section.ts'
import type { Part } from '../../src/mime/types.ts'
import { formatBodyStructure } from '../../src/proto/imap/body-structure.ts'
import { formatEnvelope } from '../../src/proto/imap/envelope.ts'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { type ImapValue, parseLine, parseValue } from '../support/imap-values.ts'
import { corpusMessages, fixtureMessages, type NamedMessage, sampleMessages } from '../support/messages.ts'
import { RawImap } from '../support/raw-imap.ts'
import { knownDifferences, knownSectionDifferences } from './known-differences.ts'
import { oddFieldMessages } from './odd-fields.ts'

const batch = 100

describe('beside Dovecot', () => {
  const own: NamedMessage[] = [
    ...fixtureMessages(),
    ...oddFieldMessages(),
    ...sampleMessages(50).map((octets, index) => ({ name: `sample ${index}`, octets })),
  ]
  const messages = [...own, ...corpusMessages()]
  let dovecot: Dovecot
  let client: RawImap

  beforeAll(async () => {
    dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] })
    await dovecot.fill(
      'anna',
      messages.map(({ octets }) => octets),
    )
    client = await RawImap.connect(dovecot.imapPort)
    await client.login('anna', 'secret')
    await client.command('EXAMINE INBOX')
  })

  afterAll(async () => {
    await client?.[Symbol.asyncDispose]()
    await dovecot?.stop()
  })

  /** FETCH of the first `count` messages; the value of each item by its name, with the message. */
  async function* fetch(
    items: string,
    count: number,
  ): AsyncGenerator<[NamedMessage, ReadonlyMap<ImapValue, ImapValue>]> {
    for (let first = 1; first <= count; first += batch)
      for (const line of await client.command(`FETCH ${first}:${Math.min(first + batch - 1, count)} (${items})`)) {
        const [, number, word, list] = parseLine(line)
        if (word !== 'FETCH' || typeof list !== 'object') continue
        const pairs = list.flatMap((value, index) => (index % 2 === 0 ? [[value, list[index + 1]] as const] : []))
        yield [messages[Number(number) - 1]!, new Map(pairs)]
      }
  }

  it('gives the same ENVELOPE, BODY and BODYSTRUCTURE', async () => {
    const differing = new Map<string, string>()
    let compared = 0
    for await (const [{ name, octets }, theirs] of fetch('ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[]', messages.length)) {
      const served = asServed(octets)
      // IMAP can't send NUL: Dovecot sends 0x80 for it, but has parsed the NUL.
      expect(theirs.get('BODY[]'), name).toBe(served.replaceAll('\0', '\x80'))
      const root = scan(Buffer.from(served, 'latin1'))
      const ours = {
        ENVELOPE: parseValue(formatEnvelope(root.envelope!)),
        BODY: parseValue(formatBodyStructure(root, { extended: false })),
        BODYSTRUCTURE: abbreviated(parseValue(formatBodyStructure(root, { extended: true }))),
      }
      for (const [item, value] of Object.entries(ours))
        if (JSON.stringify(value) !== JSON.stringify(theirs.get(item)))
          differing.set(name, beside(item, value, theirs.get(item)))
      compared++
    }
    console.log(`${compared} messages compared, ${differing.size} differ`)
    expect(compared).toBe(messages.length)
    const unexpected = [...differing].filter(([name]) => !knownDifferences.has(name)).map((entry) => entry.join(': '))
    expect(unexpected.join('\n')).toBe('')
    expect(here(knownDifferences).filter((name) => !differing.has(name))).toEqual([])
  })

  it('finds the same sections', async () => {
    const paths = ['1', '2', '3', '1.1', '1.2', '2.1', '2.2', '2.1.1', '1.1.1']
    const specs = [
      ...paths.flatMap((path) => ['', '.MIME', '.HEADER', '.TEXT'].map((word) => `${path}${word}`)),
      'HEADER',
      'TEXT',
    ]
    const items = specs.map((spec) => `BODY.PEEK[${spec}]`).join(' ')
    const differing = new Map<string, string>()
    for await (const [{ name, octets }, theirs] of fetch(items, own.length)) {
      const served = asServed(octets)
      const root = scan(Buffer.from(served, 'latin1'))
      for (const spec of specs) {
        const ours = sectionOf(served, root, spec)
        const answer = nulBack(theirs.get(`BODY[${spec}]`))
        // A part that is no message and has no parts has no part 1 either (RFC 9051 §6.4.5.1). Dovecot takes the part itself for it.
        if (
          ours === undefined &&
          (answer === '' || answer === sectionOf(served, root, spec.replace(/\.1(?=\.[A-Z]|$)/, '')))
        )
          continue
        if (ours !== answer) differing.set(name, beside(`BODY[${spec}]`, ours, answer))
      }
    }
    const unexpected = [...differing].filter(
      ([name]) => !knownSectionDifferences.has(name) && !knownDifferences.has(name),
    )
    expect(unexpected.join('\n')).toBe('')
    expect(here(knownSectionDifferences).filter((name) => !differing.has(name))).toEqual([])
  })

  it('picks the same header fields', async () => {
    const names = 'SUBJECT from Content-Type X-NOT-THERE'
    const items = `BODY.PEEK[HEADER.FIELDS (${names})] BODY.PEEK[HEADER.FIELDS.NOT (${names})]`
    for await (const [{ name, octets }, theirs] of fetch(items, own.length)) {
      const served = Buffer.from(asServed(octets), 'latin1')
      const header = served.subarray(0, scan(served).bodyStart)
      const [chosen, others] = [...theirs.values()]
      expect([name, selectFields(splitHeader(header), names.split(' '), true).toString('latin1')]).toEqual([
        name,
        nulBack(chosen),
      ])
      expect([name, selectFields(splitHeader(header), names.split(' '), false).toString('latin1')]).toEqual([
        name,
        nulBack(others),
      ])
    }
  })

  const here = (known: ReadonlyMap<string, string>) => {
    const present = new Set(messages.map(({ name }) => name))
    return [...known.keys()].filter((name) => present.has(name))
  }
})

const beside = (item: string, ours: ImapValue, theirs: ImapValue) =>
  `${item}\n  ours    ${JSON.stringify(ours)}\n  Dovecot ${JSON.stringify(theirs)}`

/** Dovecot's form of a message: CRLF at every line end. Octets in latin1. */
function asServed(octets: Buffer): string {
  return octets.toString('latin1').replace(/\r?\n/g, '\r\n')
}

const nulBack = (value: ImapValue) => (typeof value === 'string' ? value.replaceAll('\x80', '\0') : value)

function sectionOf(served: string, root: Part, spec: string): string | undefined {
  const numbers = /^[\d.]*\d/.exec(spec)?.[0] ?? ''
  const word = spec.slice(numbers.length).replace(/^\./, '')
  const text = word === 'MIME' || word === 'HEADER' || word === 'TEXT' ? word : undefined
  const range = findSection(root, { part: numbers === '' ? [] : numbers.split('.').map(Number), text })
  return range && served.slice(range.start, range.end)
}

/**
 * Dovecot remembers only that a message is plain 7-bit US-ASCII, and writes its BODYSTRUCTURE in lower case, whatever the message has.
 * These values are compared without case (RFC 2045 §2 and §5.1).
 */
function abbreviated(structure: ImapValue): ImapValue {
  const lower = JSON.stringify(structure).toLowerCase()
  return lower.startsWith('["text","plain",["charset","us-ascii"],null,null,"7bit",') &&
    lower.endsWith('null,null,null,null]')
    ? lowerCase(structure)
    : structure
}

function lowerCase(value: ImapValue): ImapValue {
  return typeof value === 'string' ? value.toLowerCase() : value?.map(lowerCase)
}
