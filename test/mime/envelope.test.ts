import { describe, expect, it } from 'vitest'
import { mimeLimits } from '../../src/base/limits.ts'
import { readEnvelope } from '../../src/mime/envelope.ts'
import { splitFields } from '../../src/mime/header.ts'

const read = (header: string, room: number = mimeLimits.messageAddresses) =>
  readEnvelope(splitFields(header.replaceAll('\n', '\r\n')), room)

describe('the envelope', () => {
  it('puts From where Sender and Reply-To are absent or empty (RFC 9051 §7.5.2)', () => {
    const { from, sender, replyTo, to } = read('From: a@x\nSender:\nTo: \n')
    expect([sender, replyTo]).toEqual([from, from])
    expect(to).toBeUndefined()
    expect(read('From: a@x\nSender: b@x\n').sender).toEqual([
      { name: undefined, route: undefined, mailbox: 'b', host: 'x' },
    ])
  })

  it('tells absent from empty (RFC 9051 §7.5.2)', () => {
    expect(read('Subject:\nIn-Reply-To: \n')).toMatchObject({
      subject: '',
      inReplyTo: '',
      date: undefined,
      messageId: undefined,
    })
  })

  it('unfolds', () => {
    expect(read('Subject: one\n\ttwo\n  three\nMessage-ID:\n <a@b>\n')).toMatchObject({
      subject: 'one two three',
      messageId: ' <a@b>',
    })
  })

  it('joins fields that are there twice (RFC 5322 §4.5.3)', () => {
    expect(read('To: a@x\nTo: b@x, c@x\n').to?.map(({ mailbox }) => mailbox)).toEqual(['a', 'b', 'c'])
  })

  it('finds names without case and with white space before the colon (RFC 5322 §4.5)', () => {
    expect(read('SUBJECT : x\n').subject).toBe('x')
  })

  it('H21: keeps the first addresses of a field and of all fields', () => {
    expect(read(`To: ${'a@b,'.repeat(20_000)}\n`).to).toHaveLength(mimeLimits.addresses)
    expect(read('To: a@b\n'.repeat(20_000)).to).toHaveLength(mimeLimits.addresses)
    const { to, cc } = read('To: a@b, a@b\nCc: a@b, a@b\n', 3)
    expect([to?.length, cc?.length]).toEqual([2, 1])
  })

  it('never holds a NUL, which IMAP cannot send', () => {
    expect(read('Subject: a\0b\n').subject).toBe('a\xef\xbf\xbdb')
  })
})
