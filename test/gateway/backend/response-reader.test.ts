import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BackendError } from '#gateway/backend/errors.ts'
import { type Expectation, ResponseReader } from '#gateway/backend/pop3/response-reader.ts'
import type { BodySink } from '#gateway/backend/types.ts'
import { costRatio } from '#test/support/cpu.ts'
import { stuffed } from '#test/support/pop3-script.ts'

interface Seen {
  ok: boolean
  text: string
  body: Buffer | undefined
  aborted?: Error
}

/** Reads `count` replies; `slow` makes every sink answer with a promise. */
const readerFor = (kinds: readonly boolean[], slow = false, limit = 1e9) => {
  const seen: Seen[] = []
  const faults: BackendError[] = []
  let head = 0
  const expectation = (multiline: boolean): Expectation => {
    const one: Seen = { ok: false, text: '', body: undefined }
    const chunks: Buffer[] = []
    const sink: BodySink = {
      write: (chunk) => {
        chunks.push(Buffer.from(chunk))
        return slow ? Promise.resolve() : undefined
      },
      end: () => {
        one.body = Buffer.concat(chunks)
        return slow ? Promise.resolve() : undefined
      },
      abort: (reason) => {
        one.aborted = reason
        seen.push(one)
      },
    }
    return {
      multiline,
      bodyLimit: limit,
      status: (ok, text) => {
        one.ok = ok
        one.text = text
        return sink
      },
      done: () => seen.push(one),
    }
  }
  const expectations = kinds.map(expectation)
  const reader = new ResponseReader(
    {
      next: () => expectations[head],
      shift: () => head++,
      stalled: () => {},
      fault: (error) => void faults.push(error),
    },
    65_536,
  )
  return { reader, seen, faults }
}

const body = Buffer.from('.leading\r\n..two\r\nplain\r\n.\r\r\n\r\n.', 'latin1')
const eight = Buffer.from([0xe9, 0xff, 0xfe, 0x80, 0x00, 0x0d, 0x0a])
const wire = Buffer.concat([
  Buffer.from('+OK 2 300\r\n+OK\r\n'),
  stuffed(body),
  Buffer.from('-ERR [SYS/TEMP] try later\r\n+OK x\r\n'),
  stuffed(eight),
  Buffer.from('+OK\r\n.\r\n'),
])
const kinds = [false, true, true, true, true]

const check = (seen: readonly Seen[]) => {
  expect(seen).toHaveLength(5)
  expect(seen[0]).toMatchObject({ ok: true, text: '2 300' })
  expect(seen[1]!.body!.toString('latin1')).toBe(`${body.toString('latin1')}\r\n`)
  expect(seen[2]).toMatchObject({ ok: false, text: '[SYS/TEMP] try later', body: undefined })
  expect(seen[3]!.body).toEqual(eight)
  expect(seen[4]!.body).toEqual(Buffer.alloc(0))
}

describe('response reader', () => {
  it('reads the same however the octets are cut: at each single place', () => {
    for (let at = 0; at <= wire.length; at++) {
      const { reader, seen, faults } = readerFor(kinds)
      reader.push(wire.subarray(0, at))
      reader.push(wire.subarray(at))
      expect(faults).toEqual([])
      check(seen)
      expect(reader.idle).toBe(true)
    }
  })

  it('reads the same octet by octet, with sinks that make it wait', async () => {
    for (const size of [1, 2, 3, 7, wire.length]) {
      const { reader, seen } = readerFor(kinds, true)
      for (let at = 0; at < wire.length; at += size) reader.push(wire.subarray(at, at + size))
      await new Promise<void>((resolve) => reader.end(resolve))
      check(seen)
    }
  })

  it('an empty piece changes nothing, also at the beginning of a line', () => {
    const { reader, seen } = readerFor([true])
    for (const piece of ['+OK\r\n', '', '.\r\n']) reader.push(Buffer.from(piece))
    expect(seen[0]!.body).toEqual(Buffer.alloc(0))
  })

  it('gives back any body, cut anywhere', () => {
    const octet = fc.constantFrom(0x0d, 0x0a, 0x2e, 0x41)
    fc.assert(
      fc.property(fc.array(octet, { maxLength: 40 }), fc.array(fc.nat(60), { maxLength: 5 }), (octets, cuts) => {
        const message = Buffer.from(octets)
        const all = Buffer.concat([Buffer.from('+OK\r\n'), stuffed(message), Buffer.from('+OK end\r\n')])
        const { reader, seen } = readerFor([true, false])
        let from = 0
        for (const cut of [...cuts, all.length].sort((a, b) => a - b)) {
          if (cut > all.length) continue
          reader.push(all.subarray(from, cut))
          from = cut
        }
        reader.push(all.subarray(from))
        const text = message.toString('latin1')
        expect(seen[0]!.body!.toString('latin1')).toBe(text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`)
        expect(seen[1]!.text).toBe('end')
      }),
    )
  })

  it('takes a single dot off a line that the server forgot to stuff', () => {
    const { reader, seen } = readerFor([true])
    reader.push(Buffer.from('+OK\r\n.wrong\r\nb\r\n.also\r\n.\r\n'))
    expect(seen[0]!.body!.toString()).toBe('wrong\r\nb\r\nalso\r\n')
  })

  it.each([
    ['HTTP/1.1 400 Bad Request\r\n', 'protocol'],
    ['+OKAY\r\n', 'protocol'],
    ['\0\0\0\r\n', 'protocol'],
    ['x'.repeat(70_000), 'limit'],
  ])('refuses %j', (octets, kind) => {
    const { reader, seen, faults } = readerFor([false])
    reader.push(Buffer.from(octets))
    expect(faults.map((fault) => fault.kind)).toEqual([kind])
    expect(seen).toEqual([])
  })

  it('refuses a reply to nothing', () => {
    const { reader, faults } = readerFor([])
    reader.push(Buffer.from('-ERR idle timeout\r\n'))
    expect(faults[0]).toMatchObject({ kind: 'closed', serverText: 'idle timeout' })
  })

  it('stops at the limit of a body', () => {
    const { reader, faults } = readerFor([true], false, 1_000)
    reader.push(Buffer.from(`+OK\r\n${'x'.repeat(1_001)}`))
    expect(faults[0]!.kind).toBe('limit')
  })

  it('aborts an open body with the reason', () => {
    const { reader, seen } = readerFor([true])
    reader.push(Buffer.from('+OK\r\nhalf'))
    reader.abort(new Error('gone'))
    expect(seen[0]!.aborted!.message).toBe('gone')
    expect(seen[0]!.body).toBeUndefined()
  })

  it('costs no more for each message where there are many', async () => {
    const line = `${'a line of a message of usual length, seventy-six octets with its line end '}\r\n`
    const one = Buffer.concat([Buffer.from('+OK 2032 octets\r\n'), stuffed(Buffer.from(line.repeat(27)))])
    const some = (count: number) => Buffer.concat(Array.from({ length: count }, () => one))
    let done = 0
    const sink: BodySink = { write: () => {}, end: () => {}, abort: () => {} }
    const expectation: Expectation = { multiline: true, bodyLimit: 1e9, status: () => sink, done: () => done++ }
    const read = (all: Buffer) => () => {
      const reader = new ResponseReader(
        { next: () => expectation, shift: () => {}, stalled: () => {}, fault: () => {} },
        65_536,
      )
      done = 0
      for (let at = 0; at < all.length; at += 65_536) reader.push(all.subarray(at, at + 65_536))
    }
    expect(await costRatio(read(some(2_000)), read(some(20_000)))).toBeLessThan(30)
    expect(done).toBe(20_000)
  })
})
