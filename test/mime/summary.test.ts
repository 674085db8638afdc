import { describe, expect, it } from 'vitest'
import { mimeLimits } from '../../src/base/limits.ts'
import { SUMMARY_FIELDS, summarize, summarizeStream } from '../../src/mime/summary.ts'
import { fixtureMessages, sampleMessages } from '../support/messages.ts'

async function* chunksOf(octets: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < octets.length; at += size) yield octets.subarray(at, at + size)
}

describe('the summary', () => {
  it('has the fields that clients ask for, as they stand, in their order', () => {
    const message = Buffer.from(
      'Received: x\r\nSUBJECT: a\r\n b\r\nX-Other: y\r\nto : c\r\nSubject: again\r\n\r\nSubject: body\r\n',
    )
    expect(summarize(message).fields).toEqual([
      ['subject', 'SUBJECT: a\r\n b\r\n'],
      ['to', 'to : c\r\n'],
      ['subject', 'Subject: again\r\n'],
    ])
  })

  it('names fields in lower case and in order, so that they can be looked up', () => {
    expect(SUMMARY_FIELDS).toEqual([...new Set(SUMMARY_FIELDS.map((name) => name.toLowerCase()))].sort())
  })

  it('is the same from a stream', async () => {
    for (const octets of [...fixtureMessages().map((message) => message.octets), ...sampleMessages(17)])
      expect(await summarizeStream(chunksOf(octets, 100))).toEqual(summarize(octets))
  })

  it('survives JSON, which the store keeps it in', () => {
    for (const octets of sampleMessages(17))
      expect(JSON.parse(JSON.stringify(summarize(octets)))).toEqual(JSON.parse(JSON.stringify(summarize(octets))))
  })

  it('P18: holds no body: memory does not grow with the message', async () => {
    const chunk = Buffer.alloc(64 * 1024, 'xxxxxxxxxxxxxxx\n')
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    async function* big(): AsyncGenerator<Buffer> {
      yield Buffer.from('Subject: big\r\n\r\n')
      for (let sent = 0; sent < 64 * 1024 * 1024; sent += chunk.length) {
        most = Math.max(most, process.memoryUsage().arrayBuffers - before)
        yield chunk
      }
    }
    const { root } = await summarizeStream(big())
    expect([root.end - root.bodyStart, root.lines]).toEqual([64 * 1024 * 1024, 4 * 1024 * 1024])
    expect(most).toBeLessThan(mimeLimits.headerOctets)
  })
})
