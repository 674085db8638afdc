/** Where we and Dovecot differ, message by message, and the section of docs/mime-differences.md that says why. */

const reasons: Readonly<Record<string, readonly string[]>> = {
  'broken Content-Type': [
    'Content-Type: ;charset=x',
    'Content-Type: "text"/plain',
    'Content-Type: /plain',
    'Content-Type: multipart; boundary=x',
    'Content-Type: text',
    'Content-Type: text/',
    'Content-Type: text/plain (unclosed; charset=utf-8',
    'Content-Type: text/plain charset=utf-8',
    'Content-Type: text/plain, charset=x',
    'Content-Type: text/plain/more; charset=x',
    'Content-Type: text/x y; charset=x',
    'digest-broken-type.eml',
    'header-empty-values.eml',
    'mime-version-absent-broken-type.eml',
    'mail-parser/malformed-017.eml',
    'mimekit/messages-missing-subtype.eml',
  ],
  'unquoted parameter values': [
    'Content-Type: text/plain; name=[a](b)<c>; charset=utf-8',
    'Content-Type: text/plain; name=a,b;c=d',
    'boundary-unquoted-odd.eml',
    'php-mime-mail-parser/issue133.eml',
    'ruby-mail/mime_emails-raw_email_with_binary_encoded.eml',
    'ruby-mail/mime_emails-raw_email_with_illegal_boundary.eml',
    'ruby-mail/plain_emails-raw_email_bad_time.eml',
  ],
  'parameters behind a broken one': ['Content-Type: text/plain;charset=utf-8;;name=x'],
  'boundaries of unlawful length': ['boundary-empty.eml', 'boundary-of-98-octets.eml', 'mail-parser/malformed-016.eml'],
  'the line end before a delimiter': [
    'mail-parser/thirdparty-007.eml',
    'postal-mime/mimetorture.eml',
    'sisimai-bounces/lf-rhost-gsuite-13.eml',
  ],
  'white space around dots': ['From: a . b @ x . y', 'From: "a".b."c"@x', 'From: a(1).(2)b@x'],
  'comments without an end': [
    'From: (',
    'From: (never closed',
    'From: a@x (never closed',
    'From: a@x (ends in backslash\\',
  ],
  'addresses behind a broken one': [
    'From: a@.x',
    'From: a@x..y',
    'From: Ann <a@>',
    'From: <a@>',
    'From: Ann <a@.>',
    'From: Ann <a@x.>',
  ],
  'names of nothing': ['From: .', 'From: . . .', 'From: . <a@x>', 'From: ""'],
  'NUL in a header': ['header-nul.eml'],
}

const sectionReasons: Readonly<Record<string, readonly string[]>> = {
  'the line end before a delimiter': ['boundary-prefix-of-inner.eml', 'boundary-same-in-and-out.eml'],
  'headers without a body': [
    'header-of-part-absent.eml',
    'header-of-part-missing-empty-line.eml',
    'message-cut-by-boundary.eml',
    'message-empty.eml',
    'parts-of-nothing.eml',
  ],
  'broken Content-Type': ['digest-broken-type.eml'],
  'boundaries of unlawful length': ['boundary-empty.eml'],
  'message/global': ['message-global.eml'],
}

const byName = (table: typeof reasons): ReadonlyMap<string, string> =>
  new Map(Object.entries(table).flatMap(([reason, names]) => names.map((name) => [name, reason] as const)))

/** In ENVELOPE, BODY or BODYSTRUCTURE: name of the message, reason. */
export const knownDifferences = byName(reasons)

/** In the octets of sections. */
export const knownSectionDifferences = byName(sectionReasons)
