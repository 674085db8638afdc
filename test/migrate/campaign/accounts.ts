/** Accounts of an old server, made up by a number: what they hold between them is what servers and clients are known to disagree about. */
import { corpusMessages, fixtureMessages, plainMessage, sampleMessages } from '../../support/messages.ts'
import { mulberry32 } from '../../support/random.ts'

export interface OldMessage {
  readonly octets: Buffer
  readonly flags: readonly string[]
  /** Milliseconds since 1970, a whole second. */
  readonly received: number
}

export interface OldMailbox {
  /** Unicode names; INBOX is the one with no levels. */
  readonly levels: readonly string[]
  readonly messages: readonly OldMessage[]
  readonly isSubscribed: boolean
}

export interface OldAccount {
  readonly kind: Kind
  readonly mailboxes: readonly OldMailbox[]
  /** Every nth message is expunged after all are there, so that UIDs and unique-ids have gaps; 0: none. */
  readonly expungeEvery: number
}

export type Kind = keyof typeof kinds

type Random = () => number

export interface Scale {
  /** Messages of a huge mailbox. */
  readonly huge: number
  /** Messages of a mailbox of which nothing else is said. */
  readonly usual: number
}

const standardFlags = ['\\Seen', '\\Answered', '\\Flagged', '\\Draft', '\\Deleted']
const keywords = ['$Forwarded', '$MDNSent', '$Junk', 'NonJunk', '$label1', 'todo', 'Work', 'a.b', 'x-y_z', '$Phishing']

const dated = (random: Random, octets: Buffer, flags: readonly string[]): OldMessage => ({
  octets,
  flags,
  received: 946_684_800_000 + Math.floor(random() * 800_000_000) * 1000,
})

const someFlags = (random: Random): string[] => [
  ...standardFlags.filter((flag) => random() < (flag === '\\Seen' ? 0.6 : 0.1)),
  ...(random() < 0.3 ? [keywords[Math.floor(random() * keywords.length)]!] : []),
]

const withFlags = (random: Random, messages: readonly Buffer[]): OldMessage[] =>
  messages.map((octets) => dated(random, octets, someFlags(random)))

const usual = (random: Random, count: number): OldMessage[] =>
  withFlags(random, sampleMessages(count, Math.floor(random() * 1000)))

const mailbox = (random: Random, levels: readonly string[], messages: readonly OldMessage[]): OldMailbox => ({
  levels,
  messages,
  isSubscribed: random() < 0.6,
})

/** Names, each with a few messages, so that mailboxes can be told from each other. */
const tree = (random: Random, names: readonly (readonly string[])[]): OldMailbox[] =>
  names.map((levels, at) => mailbox(random, levels, usual(random, 1 + (at % 4))))

const kinds = {
  usual: (random: Random, { usual: count }: Scale) => [
    mailbox(random, [], usual(random, count)),
    ...tree(random, [['Sent'], ['Drafts'], ['Trash'], ['Projects'], ['Projects', '2026'], ['Projects', '2026', 'May']]),
  ],
  nothing: (random: Random) => [mailbox(random, [], [])],
  'empty mailboxes': (random: Random) =>
    [[], ['Sent'], ['Empty'], ['Empty', 'too']].map((levels) => mailbox(random, levels, [])),
  'a huge mailbox': (random: Random, { huge }: Scale) => [
    mailbox(
      random,
      [],
      Array.from({ length: huge }, (_, index) => dated(random, plainMessage(index, 600), someFlags(random))),
    ),
    mailbox(random, ['Sent'], usual(random, 3)),
  ],
  'odd names': (random: Random, { usual: count }: Scale) => [
    mailbox(random, [], usual(random, count)),
    ...tree(random, [
      ['Entwürfe'],
      ['日本語', '受信'],
      ['emoji 📬 box'],
      ['A & B'],
      ['&'],
      ['&-'],
      ['say "hello"'],
      ['back\\slash'],
      ['per%cent'],
      ['st*r'],
      ['(round)'],
      ['[square]'],
      ['{curly}'],
      [' leading'],
      ['trailing '],
      ['two  spaces'],
      ['~tilde'],
      ['#hash'],
      ["it's"],
      ['NIL'],
      ['1'],
      ['with/slash'],
      ['with.dot'],
      ['x'.repeat(100)],
    ]),
  ],
  'deep levels': (random: Random, { usual: count }: Scale) => [
    mailbox(random, [], usual(random, count)),
    ...tree(
      random,
      Array.from({ length: 12 }, (_, depth) => Array.from({ length: depth + 1 }, (_, level) => `level ${level}`)),
    ),
  ],
  'names alike': (random: Random, { usual: count }: Scale) => [
    mailbox(random, [], usual(random, count)),
    ...tree(random, [
      ['Work'],
      ['work'],
      ['WORK'],
      ['Caf\u00e9'],
      ['Cafe\u0301'],
      ['Inbox', 'x'],
      ['\u212bngstr\u00f6m'],
      ['\u00c5ngstr\u00f6m'],
    ]),
  ],
  'many keywords': (random: Random, { usual: count }: Scale) => [
    mailbox(
      random,
      [],
      sampleMessages(count, 5).map((octets, at) =>
        dated(random, octets, [`key${at % 60}`, `Label_${at % 7}`, ...someFlags(random)]),
      ),
    ),
    mailbox(
      random,
      ['Flags'],
      sampleMessages(32, 6).map((octets, at) =>
        dated(
          random,
          octets,
          standardFlags.filter((_, bit) => (at & (1 << bit)) !== 0),
        ),
      ),
    ),
  ],
  'equal messages': (random: Random) => {
    const twice = sampleMessages(12, 3).flatMap((octets) => [octets, octets])
    return [
      mailbox(random, [], withFlags(random, [...twice, ...twice.slice(0, 6)])),
      mailbox(random, ['Copies'], withFlags(random, twice)),
    ]
  },
  'odd messages': (random: Random) => [
    mailbox(
      random,
      [],
      withFlags(random, [
        ...sampleMessages(34, 9),
        ...fixtureMessages().map(({ octets }) => octets),
        Buffer.alloc(0),
        Buffer.from('\r\n'),
        Buffer.from('x'),
        Buffer.from(`Subject: long\r\n\r\n${'y'.repeat(200_000)}\r\n`),
        Buffer.from(`${'Subject: '.padEnd(40_000, 'z')}\r\n\r\n`),
        Buffer.concat([
          Buffer.from('Subject: all\r\n\r\n'),
          Buffer.from(Array.from({ length: 255 }, (_, at) => at + 1)),
        ]),
      ]),
    ),
    mailbox(random, ['Large'], withFlags(random, [plainMessage(1, 6_000_000), plainMessage(2, 1_500_000)])),
  ],
  'real messages': (random: Random, { usual: count }: Scale) => {
    const corpus = corpusMessages().map(({ octets }) => octets)
    const pick = () => corpus[Math.floor(random() * corpus.length)]!
    const some = corpus.length === 0 ? sampleMessages(count, 11) : Array.from({ length: count }, pick)
    return [
      mailbox(random, [], withFlags(random, some)),
      mailbox(random, ['Lists'], withFlags(random, some.slice(0, 20))),
    ]
  },
} satisfies Record<string, (random: Random, scale: Scale) => OldMailbox[]>

/** The same one for the same seed and number. Kinds come in turn. */
export function oldAccount(index: number, seed: number, scale: Scale): OldAccount {
  const names = Object.keys(kinds) as Kind[]
  const kind = names[index % names.length]!
  const random = mulberry32(seed * 7919 + index)
  return { kind, mailboxes: kinds[kind](random, scale), expungeEvery: index % 3 === 0 ? 0 : 5 + (index % 4) }
}
