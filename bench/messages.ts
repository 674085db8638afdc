/** Reproducible mail for the benchmarks: same seed and count, same octets. */

import { mulberry32 } from '#test/support/random.ts'

const syllables = 'ba ke lo mi nu ra se ti vo wa harbour tide ferry rope quay lamp'.split(' ')

function text(random: () => number, octets: number): string {
  const lines: string[] = []
  let total = 0
  while (total < octets) {
    let line = ''
    while (line.length < 66) line += `${syllables[Math.floor(random() * syllables.length)]}${random() < 0.4 ? ' ' : ''}`
    lines.push(line)
    total += line.length + 2
  }
  return `${lines.join('\r\n')}\r\n`
}

function message(random: () => number, index: number, sizeOctets: number): Buffer {
  const date = new Date(1_700_000_000_000 + index * 61_000).toUTCString().replace('GMT', '+0000')
  const head =
    `Return-Path: <sender${index % 97}@bench.example>\r\nReceived: from a.bench.example by b.bench.example; ${date}\r\n` +
    `Date: ${date}\r\nFrom: Sender ${index % 97} <sender${index % 97}@bench.example>\r\nTo: <user@bench.example>\r\n` +
    `Subject: message ${index} ${text(random, 20).trimEnd()}\r\nMessage-ID: <${index}.${Math.floor(random() * 1e9)}@bench.example>\r\nMIME-Version: 1.0\r\n`
  if (sizeOctets < 6000)
    return Buffer.from(
      `${head}Content-Type: text/plain; charset=us-ascii\r\n\r\n${text(random, Math.max(80, sizeOctets - head.length - 50))}`,
      'latin1',
    )
  const attachment = Buffer.alloc(Math.floor((sizeOctets - 2500) * 0.73))
  for (let i = 0; i < attachment.length; i += 4)
    attachment.writeUInt32LE(Math.floor(random() * 2 ** 32), Math.min(i, attachment.length - 4))
  const encoded = attachment.toString('base64').replace(/.{76}/g, '$&\r\n')
  const boundary = `b${index}`
  return Buffer.from(
    `${head}Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n--${boundary}\r\nContent-Type: text/plain\r\n\r\n${text(random, 1500)}` +
      `--${boundary}\r\nContent-Type: application/octet-stream; name="a.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\n${encoded}\r\n--${boundary}--\r\n`,
    'latin1',
  )
}

export type MessageSet = 'small' | 'mixed'

/** `small`: all about 2 KB. `mixed`: median about 9 KB, mean about 50 KB, at most 4 MB. Lines end in CRLF. */
export function* benchMessages(set: MessageSet, count: number, seed = 1): Generator<Buffer> {
  const random = mulberry32(seed)
  for (let index = 0; index < count; index++) {
    const spread = random() + random() + random() + random() + random() + random() - 3
    const sizeOctets = set === 'small' ? 2000 : Math.min(4_000_000, Math.round(9000 * Math.exp(spread * 2.65)))
    yield message(random, index, sizeOctets)
  }
}

/** Messages of this size, in lines, each with a number of its own. */
export function* sizedMessages(count: number, octets: number): Generator<Buffer> {
  const line = `${'x'.repeat(74)}\r\n`
  for (let index = 0; index < count; index++) {
    const head = `From: a@bench.example\r\nSubject: message ${index}\r\nMessage-ID: <sized.${index}@bench.example>\r\n\r\n`
    const lines = Math.max(1, Math.floor((octets - head.length) / line.length))
    yield Buffer.concat([Buffer.from(head), Buffer.alloc(lines * line.length, line)])
  }
}
