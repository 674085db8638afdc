import { describe, expect, it } from 'vitest'
import { mimeLimits } from '../../src/base/limits.ts'
import { plainText, readContent } from '../../src/mime/content.ts'
import { splitFields } from '../../src/mime/header.ts'

const read = (header: string) => readContent(splitFields(`${header}\r\n`), false, plainText)
const parameters = (text: string) => read(`Content-Type: application/x${text}`).parameters

describe('Content fields', () => {
  it('reads the example of RFC 2045 §5.1', () => {
    const expected = { type: 'text', subtype: 'plain', parameters: [['charset', 'us-ascii']] }
    expect(read('Content-type: text/plain; charset=us-ascii (Plain text)')).toMatchObject(expected)
    expect(read('Content-type: text/plain; charset="us-ascii"')).toMatchObject(expected)
  })

  it('has the default for what is missing or broken (RFC 2045 §5.2)', () => {
    expect(read('X: y')).toMatchObject({ type: 'text', subtype: 'plain', encoding: '7bit', id: undefined })
    expect(read('Content-Type: nonsense; a=b')).toMatchObject({ type: 'text', subtype: 'plain', parameters: [] })
  })

  it('joins the pieces of long values (RFC 2231 §3)', () => {
    const url = '; URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"'
    expect(parameters(url)).toEqual([['URL', 'ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar']])
  })

  it('leaves encoded values encoded, and marks them (RFC 2231 §4.1)', () => {
    const title = `; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn't it!"`
    expect(parameters(title)).toEqual([
      ['title*', "us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn't it!"],
    ])
  })

  it('shows pieces with a gap as they came', () => {
    expect(parameters('; n*1=b; n*3=d')).toEqual([
      ['n*1', 'b'],
      ['n*3', 'd'],
    ])
  })

  it('passes over a broken parameter', () => {
    expect(parameters('; name; size=3;; x=y')).toEqual([
      ['size', '3'],
      ['x', 'y'],
    ])
  })

  it('H21: keeps the first parameters', () => {
    expect(parameters('; a=b'.repeat(100_000))).toHaveLength(mimeLimits.parameters)
  })

  it('reads disposition, language, identification', () => {
    const header =
      'Content-Disposition: attachment; filename=genome.jpeg;\r\n modification-date="Wed, 12 Feb 1997 16:29:51 -0500"\r\n' +
      'Content-Language: de, en-US (mostly)\r\nContent-ID: <a@b>\r\nContent-Description: a picture\r\nContent-MD5: Q2hlY2s=\r\nContent-Location: x/y'
    expect(read(header)).toMatchObject({
      disposition: {
        type: 'attachment',
        parameters: [
          ['filename', 'genome.jpeg'],
          ['modification-date', 'Wed, 12 Feb 1997 16:29:51 -0500'],
        ],
      },
      language: ['de', 'en-US'],
      id: '<a@b>',
      description: 'a picture',
      md5: 'Q2hlY2s=',
      location: 'x/y',
    })
  })

  it('says nothing in the header of a message that is none of MIME', () => {
    const fields = splitFields('Content-Transfer-Encoding: base64\r\n')
    expect(readContent(fields, true, plainText).encoding).toBe('7bit')
    expect(readContent([...fields, ...splitFields('MIME-Version: 1.0\r\n')], true, plainText).encoding).toBe('base64')
  })
})
