import { describe, expect, it } from 'vitest'
import { ResponseBoundary } from '#src/imapd/response-boundary.ts'

/** After each octet: whether something of our own could be said. */
const places = (text: string): string => {
  const boundary = new ResponseBoundary()
  return [...Buffer.from(text, 'latin1')]
    .map((octet) => {
      boundary.push(Buffer.from([octet]))
      return boundary.isBetween ? '|' : '.'
    })
    .join('')
}

const behind = (text: string): ResponseBoundary => {
  const boundary = new ResponseBoundary()
  boundary.push(Buffer.from(text, 'latin1'))
  return boundary
}

describe('where responses end', () => {
  it('is behind a line, and behind the rest of a line with literals, however octets arrive', () => {
    const line = '* 1 EXISTS\r\n'
    const fetched = '* 1 FETCH (BODY[] {7}\r\n* BYE\r\n BODY[1] ~{2}\r\nab)\r\n'
    expect(places(line + fetched)).toBe(`${'.'.repeat(line.length - 1)}|${'.'.repeat(fetched.length - 1)}|`)
    expect(behind(line + fetched).isBetween).toBe(true)
    expect(behind(fetched).saidBye).toBe(false)
  })

  it('takes no text of a status response for a literal', () => {
    for (const text of ['a OK done {5}\r\n', '* NO [ALERT] full {12}\r\n', '* BYE {3}\r\n'])
      expect(behind(text).isBetween).toBe(true)
  })

  it('knows a BYE', () => {
    expect(behind('* BYE\r\n').saidBye).toBe(true)
    expect(behind('* bye see you\r\na OK\r\n').saidBye).toBe(true)
    expect(behind('* BYELAW\r\n').saidBye).toBe(false)
  })

  it('an empty literal ends at once, and a long line holds little', () => {
    expect(behind('* LIST () "/" {0}\r\n\r\n').isBetween).toBe(true)
    const boundary = behind(`* SEARCH ${'1 '.repeat(500_000)}`)
    expect(boundary.isBetween).toBe(false)
    boundary.push(Buffer.from('\r\n'))
    expect(boundary.isBetween).toBe(true)
  })
})
