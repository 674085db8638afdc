import { expect, it } from 'vitest'
import { scan } from '../../../src/mime/scan.ts'
import { formatBodyStructure } from '../../../src/proto/imap/body-structure.ts'
import { formatEnvelope } from '../../../src/proto/imap/envelope.ts'

const crlf = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1')

it('gives the ENVELOPE and BODY of the sample connection of RFC 3501 §8 for its header', () => {
  const body = `${'x'.repeat(31)}\n`.repeat(91)
  const message = crlf(`Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev1 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

${body}${'x'.repeat(23)}
`)
  const root = scan(message)
  expect(root.bodyStart).toBe(342)
  expect(formatEnvelope(root.envelope!)).toBe(
    '("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" ' +
      '(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ' +
      '(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ' +
      '((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>")',
  )
  expect(formatBodyStructure(root, { extended: false })).toBe(
    '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 3028 92)',
  )
})

it('quotes, escapes, and sends 8-bit octets and long texts as literals (RFC 9051 §4.3)', () => {
  const { envelope } = scan(
    crlf(`Subject: "a" \\ b\nFrom: J\xf6rg <j@x>\nTo: g:;\nMessage-ID: ${'x'.repeat(1001)}\n\n`),
  )
  const from = '(({4}\r\nJ\xf6rg NIL "j" "x"))'
  expect(formatEnvelope(envelope!)).toBe(
    `(NIL "\\"a\\" \\\\ b" ${from} ${from} ${from} ((NIL NIL "g" NIL)(NIL NIL NIL NIL)) NIL NIL NIL {1001}\r\n${'x'.repeat(1001)})`,
  )
})
