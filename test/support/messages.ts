/** Messages for tests: made up by a seed, written by hand (`test/fixtures/messages`), and real ones where the corpus is at hand. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { mulberry32 } from './random.ts'

export interface NamedMessage {
  readonly name: string
  readonly octets: Buffer
}

/** One CRLF message of the given size, plain text, different for every index. */
export function plainMessage(index: number, sizeOctets = 2048, seed = 1): Buffer {
  const random = mulberry32(seed * 1_000_003 + index)
  const head = `${commonFields(random, index)}Content-Type: text/plain; charset=us-ascii\r\n\r\n`
  const body = words(random, Math.max(0, sizeOctets - head.length - 2))
  return Buffer.from(`${head}${body}\r\n`, 'latin1')
}

/** `count` messages of all kinds below, in turn; the same ones for the same seed, each different from the others. */
export function sampleMessages(count: number, seed = 1): Buffer[] {
  const kinds = Object.values(sampleKinds)
  return Array.from({ length: count }, (_, index) => {
    const random = mulberry32(seed * 1_000_003 + index)
    return Buffer.from(kinds[index % kinds.length]!(commonFields(random, index), random), 'latin1')
  })
}

/** The hand-written messages, each odd in the way that its name says. */
export function fixtureMessages(): NamedMessage[] {
  return readMessages(resolve(import.meta.dirname, '../fixtures/messages'), '*.eml')
}

/** Real messages of public archives and test suites, beside the project; none (and a line that says so) where they are absent. */
export function corpusMessages(): NamedMessage[] {
  const directory = resolve(import.meta.dirname, '../../../shared/corpus')
  if (existsSync(directory)) return readMessages(directory, '*/*.eml')
  console.log(`the message corpus is absent (${directory}); only the project's own messages are used`)
  return []
}

function readMessages(directory: string, pattern: string): NamedMessage[] {
  const names = globSync(pattern, { cwd: directory }).sort()
  return names.map((name) => ({ name, octets: readFileSync(join(directory, name)) }))
}

type Random = () => number
/** Octets in latin1 of a message with these first fields. */
type SampleKind = (fields: string, random: Random) => string

const sampleKinds: Readonly<Record<string, SampleKind>> = {
  plain: (fields, random) => `${fields}\r\n${text(random, 1500)}`,
  alternative: (fields, random) =>
    multipart(fields, 'alternative', [
      `Content-Type: text/plain; charset=utf-8\r\n\r\n${text(random, 600)}`,
      `Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>${words(random, 600)}=\r\n</p>=E2=82=AC\r\n`,
    ]),
  nested: (fields, random) =>
    multipart(fields, 'mixed', [
      multipart('', 'alternative', [
        `Content-Type: text/plain\r\n\r\n${text(random, 300)}`,
        multipart('', 'related', [
          `Content-Type: text/html\r\n\r\n<img src="cid:a@b">\r\n`,
          attachment(random, 'image/gif', 'dot.gif', 2000),
        ]),
      ]),
      attachment(random, 'application/pdf', 'a file.pdf', 5000),
    ]),
  forwarded: (fields, random) =>
    multipart(fields, 'mixed', [
      `\r\n${text(random, 200)}`,
      `Content-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n${commonFields(random, 77)}\r\n${text(random, 400)}`,
    ]),
  attachment: (fields, random) =>
    multipart(fields, 'mixed', [
      `Content-Type: text/plain\r\n\r\n${text(random, 200)}`,
      attachment(random, 'application/octet-stream', 'data.bin', 20_000),
    ]),
  eightBit: (fields, random) =>
    `${fields}Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe aus K\xf6ln\r\n${text(random, 300)}`,
  eightBitHeader: (fields, random) => `${fields}X-Note: na\xc3\xafve caf\xc3\xa9\r\n\r\n${text(random, 100)}`,
  oddHeader: (fields, random) =>
    `${fields}X-Empty:\r\nX-Folded: one\r\n\ttwo\r\n   three\r\nx-obsolete : white space before the colon\r\nX-Long: ${'long '.repeat(300)}\r\n\r\n${text(random, 100)}`,
  noFinalNewline: (fields, random) => `${fields}\r\n${words(random, 200)}`,
  dots: (fields) => `${fields}\r\n.\r\n..\r\n...three\r\n.leading\r\n\r\n.`,
  bareLf: (fields, random) => `${fields}\r\n${text(random, 400)}`.replaceAll('\r\n', '\n'),
  mixedLineEnds: (fields, random) => `${fields}\r\n${text(random, 200)}${text(random, 200).replaceAll('\r\n', '\n')}`,
  nul: (fields) => `${fields}\r\nbefore\0after\r\n`,
  emptyBody: (fields) => `${fields}\r\n`,
  headerOnly: (fields) => fields,
  noHeader: (_, random) => `\r\n${text(random, 300)}`,
  longLine: (fields, random) => `${fields}\r\n${words(random, 5000).replaceAll('\r\n', ' ')}\r\n`,
}

function commonFields(random: Random, index: number): string {
  const [from, to] = [people[Math.floor(random() * people.length)]!, people[Math.floor(random() * people.length)]!]
  const date = new Date(1_600_000_000_000 + index * 3_671_000).toUTCString().replace('GMT', '+0000')
  const id = Math.floor(random() * 2 ** 32).toString(36)
  return (
    `Return-Path: <bounce@example.net>\r\nReceived: from relay.example.net (relay.example.net [192.0.2.7])\r\n\tby mx.example.org with ESMTP; ${date}\r\n` +
    `Date: ${date}\r\nFrom: ${from}\r\nTo: ${to}, list@example.org\r\nSubject: ${words(random, 30).replaceAll('\r\n', ' ')} ${index}\r\n` +
    `Message-ID: <${id}.${index}@example.net>\r\nMIME-Version: 1.0\r\n`
  )
}

const people = [
  'Anna Larsen <anna@example.net>',
  '"Ruiz, Bo" <bo.ruiz@example.com>',
  'carol@example.org (Carol N.)',
  '=?utf-8?Q?D=C3=B6rte?= <doerte@example.de>',
]

function multipart(fields: string, subtype: string, parts: readonly string[]): string {
  const boundary = `=_${subtype}_${parts.join('').length}`
  const delimited = parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')
  const preamble = fields === '' ? '' : 'This is a message in MIME format.\r\n'
  return `${fields}Content-Type: multipart/${subtype}; boundary="${boundary}"\r\n\r\n${preamble}${delimited}--${boundary}--\r\n`
}

function attachment(random: Random, type: string, name: string, sizeOctets: number): string {
  const data = Buffer.from(Array.from({ length: sizeOctets }, () => Math.floor(random() * 256)))
  const base64 = data.toString('base64').replace(/.{76}/g, '$&\r\n')
  return `Content-Type: ${type}; name="${name}"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="${name}"\r\n\r\n${base64}\r\n`
}

const vocabulary = 'tide ferry rope quay lamp harbour the of and a to in wind salt pier gull dusk net oar buoy'.split(
  ' ',
)

/** Words in lines of about 70 octets, `sizeOctets` in all. */
function words(random: Random, sizeOctets: number): string {
  let all = ''
  let line = 0
  while (all.length < sizeOctets) {
    const word = vocabulary[Math.floor(random() * vocabulary.length)]!
    line += word.length + 1
    all += line > 70 ? `${word}\r\n` : `${word} `
    if (line > 70) line = 0
  }
  // The cut must not leave half a line end or a space at the end of the text.
  return all.slice(0, sizeOctets).replace(/[\r\n ]{1,3}$/, (end) => 'x'.repeat(end.length))
}

function text(random: Random, sizeOctets: number): string {
  return `${words(random, sizeOctets)}\r\n`
}
