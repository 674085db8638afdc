import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MppDecoder } from '#src/proto/mpp/decoder.ts'
import { encodeMpp, type MppMessage } from '#src/proto/mpp/message.ts'
import { costRatio } from '#test/support/cpu.ts'

const all = (decoder: MppDecoder): MppMessage[] => {
  const messages: MppMessage[] = []
  for (let message = decoder.next(); message; message = decoder.next()) messages.push(message)
  return messages
}
const decode = (octets: string | Buffer, limit = 1 << 20): MppMessage[] => {
  const decoder = new MppDecoder(limit)
  decoder.push(typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets)
  return all(decoder)
}

describe('MPP framing (EVT-05)', () => {
  it('writes header, payload and trailer as Appendix F has them', () => {
    expect(encodeMpp('pcms:auto_dial', 7, Buffer.from('hello')).toString('latin1')).toBe(
      'pcms:auto_dial 7 5\r\nhelloEND\r\n',
    )
    expect(encodeMpp('a', 2147483647, Buffer.alloc(0)).toString('latin1')).toBe('a 2147483647 0\r\nEND\r\n')
  })

  it('reads an empty payload and the extremes of msgno (EVT-05)', () => {
    expect(decode('a:b 0 0\r\nEND\r\nc:d 2147483647 1\r\nxEND\r\n')).toEqual([
      { type: 'a:b', msgno: 0, payload: Buffer.alloc(0) },
      { type: 'c:d', msgno: 2147483647, payload: Buffer.from('x') },
    ])
  })

  it('takes the payload as octets, END and header look-alikes included (EVT-07, EVT-08)', () => {
    const payload = Buffer.concat([Buffer.from('END\r\na:b 1 1\r\nEND\r\n'), Buffer.from([0, 255, 10, 13])])
    expect(decode(encodeMpp('x:y', 3, payload))).toEqual([{ type: 'x:y', msgno: 3, payload }])
  })

  it('reads the same from any partition of the octets (EVT-11)', () => {
    const messages = fc.array(fc.tuple(fc.stringMatching(/^[!-~]{1,40}$/), fc.nat(2147483647), fc.uint8Array()), {
      maxLength: 6,
    })
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (sent, sizes) => {
        const octets = Buffer.concat(sent.map(([type, msgno, payload]) => encodeMpp(type, msgno, payload)))
        const decoder = new MppDecoder(1000)
        const got: MppMessage[] = []
        for (let at = 0, i = 0; at < octets.length; i++) {
          const size = sizes[i % sizes.length]!
          decoder.push(octets.subarray(at, at + size))
          got.push(...all(decoder))
          at += size
        }
        expect(got.map((m) => [m.type, m.msgno, [...m.payload]])).toEqual(sent.map(([t, n, p]) => [t, n, [...p]]))
      }),
    )
  })

  it.each([
    ['a missing trailer', 'a:b 1 2\r\nxyEN_\r\n', 'trailer'],
    ['a payload longer than announced', 'a:b 1 2\r\nxyzEND\r\n', 'trailer'],
    ['a bare LF header', 'a:b 1 2\nxyEND\r\n', 'header'],
    ['two spaces', 'a:b  1 2\r\n', 'header'],
    ['a control character in the type', 'a\x01b 1 2\r\n', 'header'],
    ['an 8-bit type', 'a\xe4b 1 2\r\n', 'header'],
    ['a negative msgno', 'a:b -1 2\r\n', 'header'],
    ['a msgno of 2^31', 'a:b 2147483648 2\r\n', 'msgno'],
    ['a size of 2^31', 'a:b 1 2147483648\r\n', 'size'],
    ['a size of 10^400', `a:b 1 1${'0'.repeat(400)}\r\n`, 'header'],
    ['a size above the limit', 'a:b 1 1048577\r\n', 'size'],
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'header'],
    ['an endless header', 'x'.repeat(5000), 'header'],
  ])('refuses %s (EVT-09)', (_what, octets, rule) => {
    const decoder = new MppDecoder(1 << 20)
    decoder.push(Buffer.from(octets, 'latin1'))
    expect(() => all(decoder)).toThrow(expect.objectContaining({ name: 'SyntaxFault', rule }))
    decoder.push(Buffer.from('a:b 1 0\r\nEND\r\n'))
    expect(() => decoder.next()).toThrow('MPP')
  })

  it('delivers the messages in front of a broken one', () => {
    const decoder = new MppDecoder(100)
    decoder.push(Buffer.from('a:b 1 0\r\nEND\r\nbroken\r\n'))
    expect(decoder.next()?.msgno).toBe(1)
    expect(() => decoder.next()).toThrow('MPP')
  })

  it('takes a large payload in small pieces at linear cost', async () => {
    const take = (size: number) => () => {
      const payload = Buffer.alloc(size, 'x')
      const octets = encodeMpp('a:b', 1, payload)
      const decoder = new MppDecoder(payload.length)
      for (let at = 0; at < octets.length; at += 64) {
        if (decoder.next() !== undefined) throw new Error('a part of it was taken for the whole')
        decoder.push(octets.subarray(at, at + 64))
      }
      expect(decoder.next()?.payload.equals(payload)).toBe(true)
    }
    // Four times the size; its square is sixteen. Both are large enough that memory is new to the process.
    expect(await costRatio(take(1 << 20), take(1 << 22), 3)).toBeLessThan(12)
  })

  it('refuses to write what the grammar does not carry', () => {
    expect(() => encodeMpp('a b', 1, Buffer.alloc(0))).toThrow(RangeError)
    expect(() => encodeMpp('a:b', -1, Buffer.alloc(0))).toThrow(RangeError)
    expect(() => encodeMpp('a:b', 2 ** 31, Buffer.alloc(0))).toThrow(RangeError)
  })
})
