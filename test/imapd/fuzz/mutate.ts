/** Commands that nearly are. */

const tokens = [
  ...[
    '(',
    ')',
    '()',
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
    '<',
    '>',
    '%',
    '*',
    '$',
    '&',
    '&-',
    '&AGE-',
    '+',
    '-',
    ',',
    ':',
    ' ',
    '  ',
    '\t',
  ],
  ...['\0', '\r', '\n', '\r\n', '\x7f', '\x80', '\xff', '\xc3\xa4', '\xf0\x9f\x93\xac', '\xed\xa0\x80'],
  ...[
    'NIL',
    'nil',
    '""',
    'INBOX',
    'inbox/',
    'UID ',
    'NOT ',
    'OR ',
    'CHARSET ',
    '/',
    '..',
    '~',
    '~{1+}\r\nx',
    '{0+}\r\n',
    '{1}\r\nx',
    '{3+}\r\na\0b',
  ],
  ...[
    '0',
    '-1',
    '007',
    '4294967295',
    '4294967296',
    '9007199254740993',
    '18446744073709551616',
    '1:*',
    '*:*',
    '1'.repeat(400),
  ],
  ...[
    '\\Seen',
    '\\Recent',
    '\\*',
    '$MDNSent',
    '"17-Jul-1996 02:44:25 -0700"',
    'BODY[]',
    'BODY[1.',
    '__proto__',
    'constructor',
  ],
  '('.repeat(70),
  'x'.repeat(300),
]

export function mutated(command: string, random: () => number): string {
  let text = command
  for (let times = 1 + Math.floor(random() * 3); times > 0; times--) text = once(text, random)
  return text
}

function once(text: string, random: () => number): string {
  const at = Math.floor(random() * (text.length + 1))
  const end = Math.min(text.length, at + Math.floor(random() * 6))
  switch (Math.floor(random() * 7)) {
    case 0:
      return text.slice(0, at) + tokens[Math.floor(random() * tokens.length)]! + text.slice(at)
    case 1:
      return text.slice(0, at) + tokens[Math.floor(random() * tokens.length)]! + text.slice(end)
    case 2:
      return text.slice(0, at) + text.slice(end)
    case 3:
      return text.slice(0, at)
    case 4:
      return text.slice(0, end) + text.slice(at)
    case 5: {
      const words = text.split(' ')
      const [one, other] = [Math.floor(random() * words.length), Math.floor(random() * words.length)]
      ;[words[one], words[other]] = [words[other]!, words[one]!]
      return words.join(' ')
    }
    default:
      return text.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + text.slice(at + 1)
  }
}
