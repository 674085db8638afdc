/** Previews of messages. RFC 8970 §3.3 */
import { describe, expect, it } from 'vitest'
import { htmlText } from '#src/mime/html-text.ts'
import { previewOf } from '#src/mime/preview.ts'
import { scan } from '#src/mime/scan.ts'

const preview = (text: string) => {
  const octets = Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1')
  return previewOf(scan(octets), async (start, end) => octets.subarray(start, end))
}
const mime = (type: string, body: string, encoding = '7bit') =>
  `MIME-Version: 1.0\nContent-Type: ${type}\nContent-Transfer-Encoding: ${encoding}\n\n${body}`
const multipart = (subtype: string, ...parts: string[]) =>
  mime(`multipart/${subtype}; boundary=b`, `${parts.map((part) => `--b\n${part}\n`).join('')}--b--\n`)
const part = (type: string, body: string, more = '') => `Content-Type: ${type}\n${more}\n${body}`

describe('a preview', () => {
  it('is the text on one line, at most 200 characters', async () => {
    expect(await preview('Subject: x\n\nHello,\n\n  this is\tit.\n')).toBe('Hello, this is it.')
    expect(
      await preview(mime('text/plain; charset=utf-8', Buffer.from('𝄞'.repeat(300)).toString('base64'), 'base64')),
    ).toBe('𝄞'.repeat(200))
    expect(await preview(mime('text/plain; charset=iso-8859-1', 'caf=E9 =\nau lait', 'quoted-printable'))).toBe(
      'café au lait',
    )
    expect(await preview(mime('text/plain; charset=x-unknown', 'still read'))).toBe('still read')
    expect([...(await preview(`Subject: x\n\n${'word '.repeat(9000)}`))].length).toBeLessThanOrEqual(200)
    expect(await preview('Subject: x\n\na\0\x01\x07b')).toBe('a b')
  })

  it('leaves out what was quoted, unless there is nothing else', async () => {
    expect(await preview('Subject: x\n\n> old\n>> older\nnew\n')).toBe('new')
    expect(await preview('Subject: x\n\n> old\n')).toBe('> old')
  })

  it('is of the first part that says anything', async () => {
    const plain = part('text/plain', 'plain')
    const html = part('text/html', '<p>html</p>')
    expect(await preview(multipart('alternative', plain, html))).toBe('plain')
    expect(await preview(multipart('alternative', part('text/plain', ' \n'), html))).toBe('html')
    expect(await preview(multipart('mixed', part('text/calendar', 'BEGIN'), multipart('alternative', html)))).toBe(
      'html',
    )
    const attached = part('text/plain', 'attached', 'Content-Disposition: attachment\n')
    expect(await preview(multipart('mixed', attached, html))).toBe('html')
  })

  it('is empty where there is nothing to read', async () => {
    expect(await preview('Subject: x\n\n')).toBe('')
    expect(await preview('')).toBe('')
    expect(await preview(multipart('mixed', part('image/png', 'PNG')))).toBe('')
    expect(await preview(multipart('encrypted', part('text/plain', 'secret')))).toBe('')
    expect(await preview(multipart('mixed', part('message/rfc822', 'Subject: y\n\ninner')))).toBe('')
  })
})

describe('the text of HTML', () => {
  it.each([
    ['<html><head><title>T</title><style>p{a>b}</style></head><body><p>one</p><p>two</p></body>', 'one two'],
    ['<p>w<b>or</b>d</p>', 'word'],
    ['a<br>b<br/>c', 'a b c'],
    ['<!-- <p>no</p> -->yes<!DOCTYPE x>', 'yes'],
    ['<a href="x>y" title=\'>\'>link</a>', 'link'],
    ['<script>if (a<b) "</p>"</script>shown', 'shown'],
    ['&lt;b&gt; &amp;amp; &quot;&#8364;&#x1F600;&nbsp;&eacute;&unknown;&', '<b> &amp; "€😀 é&unknown;&'],
    ['1 < 2 and 3 > 2', '1 < 2 and 3 > 2'],
    ['before<style>p{', 'before'],
    ['before<p class="never ends', 'before'],
    ['&#0;&#55296;&#1114112;', '\ufffd\ufffd\ufffd'],
    ['<p title="a>never', 'never'],
  ])('%j is %j', (html, text) => {
    expect(
      htmlText(html)
        .replace(/[ \u00a0]+/g, ' ')
        .trim(),
    ).toBe(text)
  })

  it('takes time that grows with the text alone', () => {
    for (const piece of ['<', '<p', '<p "', '<style>', '&#', '<!--', '</', "<a b='"]) {
      const start = process.cpuUsage()
      htmlText(piece.repeat(200_000 / piece.length))
      expect(process.cpuUsage(start).user / 1000, piece).toBeLessThan(1000)
    }
  })
})
