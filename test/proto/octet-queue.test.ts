import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OctetQueue } from '#src/proto/octet-queue.ts'

describe('OctetQueue', () => {
  it('gives the same lines however the octets are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b\n', '\r\n', 'x'.repeat(600)), { maxLength: 40 }),
        fc.nat(700),
        (parts, size) => {
          const whole = Buffer.from(parts.join(''))
          const queue = new OctetQueue()
          const lines: string[] = []
          for (let at = 0; at < whole.length; at += size + 1) {
            queue.push(whole.subarray(at, at + size + 1))
            for (let line = queue.takeLine(); line !== undefined; line = queue.takeLine()) lines.push(line.toString())
          }
          const expected = whole
            .toString()
            .split(/(?<=\n)/)
            .filter((line) => line.endsWith('\n'))
          expect(lines).toEqual(expected)
          expect(queue.length).toBe(whole.length - expected.join('').length)
        },
      ),
    )
  })

  it('keeps single octets together instead of one object each', () => {
    const queue = new OctetQueue()
    for (let index = 0; index < 60_000; index++) queue.push(Buffer.from([index & 0x7f]))
    let pieces = 0
    let total = 0
    for (let piece = queue.take(1e9); piece !== undefined; piece = queue.take(1e9)) {
      pieces++
      total += piece.length
    }
    expect(total).toBe(60_000)
    expect(pieces).toBeLessThan(130)
  })

  it('takes counted octets without joining, exact ones joined', () => {
    const queue = new OctetQueue()
    const [first, second] = [Buffer.alloc(1000, 'a'), Buffer.alloc(1000, 'b')]
    queue.push(first)
    queue.push(second)
    expect(queue.take(1500)).toEqual(first)
    expect(queue.take(10)?.toString()).toBe('bbbbbbbbbb')
    queue.push(Buffer.from('c\n'))
    expect(queue.takeExactly(991).toString()).toBe(`${'b'.repeat(990)}c`)
    expect(queue.takeLine()?.toString()).toBe('\n')
    expect([queue.take(1), queue.takeLine(), queue.length]).toEqual([undefined, undefined, 0])
    expect(() => queue.takeExactly(1)).toThrow(RangeError)
  })
})
