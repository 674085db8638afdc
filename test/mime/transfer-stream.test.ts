/** Content-Transfer-Encodings piece by piece. RFC 2045 §6 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BinaryToBase64 } from '#src/mime/binary-to-base64.ts'
import { scan } from '#src/mime/scan.ts'
import { findPart } from '#src/mime/section.ts'
import { decodeTransfer } from '#src/mime/transfer.ts'
import { decodeTransferStream, isKnownEncoding } from '#src/mime/transfer-stream.ts'

/** The octets in pieces that end at these places. */
const cutAt = (octets: Buffer, places: readonly number[]) => {
  const ends = [...new Set(places.map((place) => place % (octets.length + 1)))].sort((a, b) => a - b)
  return [0, ...ends].map((from, index) => octets.subarray(from, ends[index] ?? octets.length))
}
const places = fc.array(fc.nat(), { maxLength: 8 })
const decoded = async (pieces: readonly Buffer[], encoding: string) => {
  const found: Buffer[] = []
  for await (const piece of decodeTransferStream(pieces, encoding)) found.push(piece)
  return Buffer.concat(found)
}

describe('a stream of encoded octets', () => {
  it('is decoded like the whole, wherever it is cut: base64', async () => {
    const text = fc
      .array(fc.constantFrom('QUJD', 'QQ==', 'QUI=', '\r\n', ' ', 'QU', 'JDRA', '*', '\n'), { maxLength: 30 })
      .map((tokens) => Buffer.from(tokens.join('')))
    await fc.assert(
      fc.asyncProperty(text, places, async (octets, at) => {
        expect(await decoded(cutAt(octets, at), 'BASE64')).toEqual(await decoded([octets], 'base64'))
      }),
      { numRuns: 300 },
    )
    const big = Buffer.from(Array.from({ length: 1000 }, (_, at) => (at * 7) & 255))
    const lines = Buffer.from(big.toString('base64').replace(/.{76}/g, '$&\r\n'))
    expect(await decoded(cutAt(lines, [1, 77, 79, 500]), 'base64')).toEqual(big)
    expect(decodeTransfer(lines, 'base64')).toEqual(big)
  })

  it('is decoded like the whole, wherever it is cut: quoted-printable', async () => {
    const text = fc
      .array(fc.constantFrom('=41', '=', '=\r\n', ' ', '\t', '\r\n', '\n', 'a', 'bc', '=4', '=zz', '\r', '= \r\n'), {
        maxLength: 30,
      })
      .map((tokens) => Buffer.from(tokens.join('')))
    await fc.assert(
      fc.asyncProperty(text, places, async (octets, at) => {
        expect(await decoded(cutAt(octets, at), 'quoted-printable')).toEqual(decodeTransfer(octets, 'quoted-printable'))
      }),
      { numRuns: 300 },
    )
  })

  it('passes through what is not encoded', async () => {
    for (const encoding of ['7bit', '8BIT', 'binary']) {
      expect(isKnownEncoding(encoding)).toBe(true)
      expect(await decoded([Buffer.from('=41\0')], encoding)).toEqual(Buffer.from('=41\0'))
    }
    expect(isKnownEncoding('x-uuencode')).toBe(false)
  })
})

describe('binary parts, RFC 3516 §4.4', () => {
  const convert = (pieces: readonly Buffer[]) => {
    const message = new BinaryToBase64()
    const out = [...pieces.flatMap((piece) => message.push(piece)), ...message.end()]
    return { octets: Buffer.concat(out), hasNul: message.hasNul }
  }
  const octets = (text: string) => Buffer.from(text, 'latin1')
  const multipart = octets(
    [
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary=b',
      'Content-Transfer-Encoding: binary',
      '',
      'preamble',
      '--b',
      'Content-Type: text/plain',
      '',
      'text',
      '--b',
      'Content-Transfer-Encoding: Binary',
      'Content-Type: image/png',
      '',
      'a\0\n--c\r\nb\xff\r',
      '--b',
      'Content-Type: message/rfc822',
      'Content-Transfer-Encoding: binary',
      '',
      'MIME-Version: 1.0',
      'Content-Transfer-Encoding: binary',
      'Content-Type: image/gif',
      '',
      '\0'.repeat(200),
      '--b',
      'Content-Transfer-Encoding: binary',
      '',
      '--b--',
      'epilogue',
      '',
    ].join('\r\n'),
  )

  it('become base64, and nothing else changes, wherever the message is cut', async () => {
    const { octets: converted, hasNul } = convert([multipart])
    expect(hasNul).toBe(false)
    expect(converted.includes(0)).toBe(false)
    const before = scan(multipart)
    const root = scan(converted)
    expect(root.encoding).toBe('8bit')
    expect(root.children.map(({ encoding }) => encoding)).toEqual(['7bit', 'base64', '8bit', 'base64'])
    for (const path of [[1], [2], [3, 1], [4]]) {
      const old = findPart(before, path)!
      const now = findPart(root, path)!
      const body = converted.subarray(now.bodyStart, now.end)
      expect(await decoded([body], now.encoding), String(path)).toEqual(multipart.subarray(old.bodyStart, old.end))
    }
    expect(converted.toString('latin1').split('\r\n').slice(-3)).toEqual(['--b--', 'epilogue', ''])
    for (let at = 0; at <= multipart.length; at++)
      expect(convert([multipart.subarray(0, at), multipart.subarray(at)]).octets.equals(converted), `${at}`).toBe(true)
    expect(convert([...multipart].map((octet) => Buffer.from([octet]))).octets.equals(converted)).toBe(true)
  })

  it('may be the whole message', async () => {
    const head = 'MIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n'
    const body = Buffer.from(Array.from({ length: 20_000 }, (_, at) => (at * 31) & 255))
    const { octets: converted } = convert([octets(head), body.subarray(0, 9000), body.subarray(9000)])
    const root = scan(converted)
    expect(await decoded([converted.subarray(root.bodyStart, root.end)], root.encoding)).toEqual(body)
    expect(
      Math.max(
        ...converted
          .toString('latin1')
          .split('\r\n')
          .map(({ length }) => length),
      ),
    ).toBeLessThanOrEqual(76)
  })

  it('what is not said to be binary stays as it is, and a NUL in it is told', () => {
    for (const text of [
      'Subject: x\r\n\r\na\0b\r\n',
      'Content-Transfer-Encoding: binary\r\n\r\nnot MIME\0\r\n',
      'Subject: \0\r\n\r\n',
      'MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\0',
      '\0',
    ])
      expect(convert([octets(text)])).toEqual({ octets: octets(text), hasNul: true })
    const text = octets('Subject: x\r\n\r\nplain\r\n')
    expect(convert([text])).toEqual({ octets: text, hasNul: false })
  })
})
