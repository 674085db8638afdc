/**
 * An IMAP server that does what a test tells it to (`scripted-server.ts`). Unless told otherwise it is a correct, small IMAP4rev1 server
 * (RFC 3501, UIDPLUS) with one account that all logins share.
 *
 *     await using backend = await scriptedImap({ mailboxes: { INBOX: [imapMessage(1, 'Subject: x\r\n\r\nx\r\n')] } })
 *     backend.on('UID FETCH', () => 'NO [LIMIT] UID FETCH Rate limit hit')
 *
 * A handler's answer that ends without CRLF is the tagged end of the command; anything else goes out as it is.
 */
import {
  type Answer,
  type Dialogue,
  type Exchange,
  type Manner,
  type ScriptedServer,
  scriptedServer,
} from './scripted-server.ts'

export interface ImapMessage {
  uid: number
  octets: Buffer
  flags: string[]
  /** As FETCH gives it. */
  internalDate: string
  /** X-GM-MSGID, where the server says X-GM-EXT-1. */
  gmailId?: string
  /** RFC822.SIZE; default: the truth. */
  size?: number
}

export interface ImapMailbox {
  uidValidity: number
  uidNext: number
  messages: ImapMessage[]
}

export interface ImapExchange extends Exchange {
  readonly tag: string
  /** Selected in this session. */
  readonly selected: ImapMailbox | undefined
}

export interface ScriptedImapOptions extends Manner {
  mailboxes?: Readonly<Record<string, readonly ImapMessage[]>>
  capabilities?: readonly string[]
  password?: string
}

export interface ScriptedImap extends ScriptedServer<ImapExchange> {
  readonly mailboxes: Map<string, ImapMailbox>
  readonly options: ScriptedImapOptions
}

export const imapMessage = (uid: number, octets: string | Buffer): ImapMessage => ({
  uid,
  octets: typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets,
  flags: [],
  internalDate: '17-Jul-2026 02:44:25 +0000',
})

const known = new Set(
  'CAPABILITY STARTTLS LOGIN ID NOOP LOGOUT NAMESPACE LIST LSUB STATUS SELECT EXAMINE CLOSE UNSELECT CREATE SUBSCRIBE APPEND EXPUNGE'
    .split(' ')
    .concat('UID FETCH', 'UID STORE', 'UID SEARCH', 'UID EXPUNGE', 'FETCH', 'CHECK', 'IDLE', 'DONE'),
)

const literal = (octets: Buffer): Buffer => Buffer.concat([Buffer.from(`{${octets.length}}\r\n`), octets])

/** Astring, or the like: a quoted string, a literal or an atom; and what follows it. */
const argumentOf = (text: string): [value: string, rest: string] => {
  const quoted = /^"((?:[^"\\]|\\.)*)" ?/.exec(text)
  if (quoted !== null) return [quoted[1]!.replace(/\\(.)/g, '$1'), text.slice(quoted[0].length)]
  const counted = /^~?\{(\d+)\+?\}\r\n/.exec(text)
  if (counted !== null) {
    const end = counted[0].length + Number(counted[1])
    return [text.slice(counted[0].length, end), text.slice(end).replace(/^ /, '')]
  }
  const space = text.indexOf(' ')
  return space < 0 ? [text, ''] : [text.slice(0, space), text.slice(space + 1)]
}

const inSet = (set: string, value: number, most: number): boolean =>
  set.split(',').some((part) => {
    const [from, to = from] = part.split(':').map((end) => (end === '*' ? most : Number(end)))
    return value >= Math.min(from!, to!) && value <= Math.max(from!, to!)
  })

export const scriptedImap = async (options: ScriptedImapOptions = {}): Promise<ScriptedImap> => {
  const mailboxes = new Map<string, ImapMailbox>()
  const make = (name: string, messages: readonly ImapMessage[]) =>
    mailboxes.set(name, {
      uidValidity: 1_000 + mailboxes.size,
      uidNext: Math.max(0, ...messages.map(({ uid }) => uid)) + 1,
      messages: [...messages],
    })
  for (const [name, messages] of Object.entries({ INBOX: [], ...options.mailboxes })) make(name, messages)
  const capabilities = () => ['IMAP4rev1', ...(options.capabilities ?? ['UIDPLUS', 'NAMESPACE', 'LITERAL+'])].join(' ')

  const dialogue = (): Dialogue<ImapExchange> => {
    let selected: ImapMailbox | undefined
    let asked = -1

    const fetched = (message: ImapMessage, number: number, items: string): Buffer => {
      const parts: Buffer[] = [Buffer.from(`* ${number} FETCH (UID ${message.uid}`)]
      const add = (name: string, value: string | Buffer) =>
        parts.push(Buffer.from(` ${name} `), typeof value === 'string' ? Buffer.from(value) : value)
      const { octets } = message
      const end = octets.indexOf('\r\n\r\n') < 0 ? octets.length : octets.indexOf('\r\n\r\n') + 4
      if (/\bFLAGS\b/.test(items)) add('FLAGS', `(${message.flags.join(' ')})`)
      if (/INTERNALDATE/.test(items)) add('INTERNALDATE', `"${message.internalDate}"`)
      if (/X-GM-MSGID/.test(items) && message.gmailId !== undefined) add('X-GM-MSGID', message.gmailId)
      if (/RFC822\.SIZE/.test(items)) add('RFC822.SIZE', String(message.size ?? octets.length))
      for (const [, peek, section = '', from, count] of items.matchAll(
        /BODY(\.PEEK)?\[([A-Z]*)\](?:<(\d+)\.(\d+)>)?/g,
      )) {
        if (peek === undefined && !message.flags.includes('\\Seen')) message.flags.push('\\Seen')
        const whole = section === '' ? octets : section === 'HEADER' ? octets.subarray(0, end) : octets.subarray(end)
        const part = from === undefined ? whole : whole.subarray(Number(from), Number(from) + Number(count))
        add(`BODY[${section}]${from === undefined ? '' : `<${from}>`}`, literal(part))
      }
      if (/\bRFC822(?!\.)/.test(items)) add('RFC822', literal(octets))
      parts.push(Buffer.from(')\r\n'))
      return Buffer.concat(parts)
    }

    const chosen = (set: string): ImapMessage[] => {
      const most = Math.max(0, ...(selected?.messages ?? []).map(({ uid }) => uid))
      return (selected?.messages ?? []).filter(({ uid }) => inSet(set, uid, most))
    }

    const usual = ({ word, argument, tag }: ImapExchange): Answer => {
      const ok = `${tag} OK done\r\n`
      const [name, rest] = argumentOf(argument)
      const mailbox = mailboxes.get(name.toUpperCase() === 'INBOX' ? 'INBOX' : name)
      switch (word) {
        case 'CAPABILITY':
          return `* CAPABILITY ${capabilities()}\r\n${ok}`
        case 'LOGIN':
          return argumentOf(rest)[0] === (options.password ?? 'pw')
            ? `${tag} OK [CAPABILITY ${capabilities()}] in\r\n`
            : `${tag} NO [AUTHENTICATIONFAILED] no\r\n`
        case 'ID':
          return `* ID NIL\r\n${ok}`
        case 'NAMESPACE':
          return `* NAMESPACE (("" "/")) NIL NIL\r\n${ok}`
        case 'LIST':
        case 'LSUB': {
          const pattern = argumentOf(rest)[0]
          if (pattern === '') return `* ${word} (\\Noselect) "/" ""\r\n${ok}`
          const names = [...mailboxes.keys()].filter((each) => /[*%]/.test(pattern) || each === pattern)
          return `${names.map((each) => `* ${word} () "/" "${each}"\r\n`).join('')}${ok}`
        }
        case 'STATUS': {
          if (mailbox === undefined) return `${tag} NO [NONEXISTENT] no such mailbox\r\n`
          const values: Readonly<Record<string, number>> = {
            MESSAGES: mailbox.messages.length,
            UIDNEXT: mailbox.uidNext,
            UIDVALIDITY: mailbox.uidValidity,
            UNSEEN: mailbox.messages.filter(({ flags }) => !flags.includes('\\Seen')).length,
          }
          const asked = rest.replace(/[()]/g, '').split(' ')
          const told = asked.flatMap((item) => (item in values ? [`${item} ${values[item]}`] : []))
          return `* STATUS "${name}" (${told.join(' ')})\r\n${ok}`
        }
        case 'SELECT':
        case 'EXAMINE': {
          if (mailbox === undefined) return `${tag} NO [NONEXISTENT] no such mailbox\r\n`
          selected = mailbox
          const flags = '\\Answered \\Flagged \\Deleted \\Seen \\Draft'
          return [
            `* ${mailbox.messages.length} EXISTS`,
            '* 0 RECENT',
            `* FLAGS (${flags})`,
            `* OK [PERMANENTFLAGS (${flags} \\*)] kept`,
            `* OK [UIDVALIDITY ${mailbox.uidValidity}] valid`,
            `* OK [UIDNEXT ${mailbox.uidNext}] next`,
            `${tag} OK [${word === 'SELECT' ? 'READ-WRITE' : 'READ-ONLY'}] done`,
            '',
          ].join('\r\n')
        }
        case 'CLOSE':
        case 'UNSELECT':
          selected = undefined
          return ok
        case 'CREATE':
          make(name, [])
          return ok
        case 'UID FETCH': {
          const items = rest.toUpperCase()
          const answers = chosen(name).map((each) => fetched(each, selected!.messages.indexOf(each) + 1, items))
          return Buffer.concat([...answers, Buffer.from(ok)])
        }
        case 'UID SEARCH':
          return `* SEARCH${(selected?.messages ?? []).map(({ uid }) => ` ${uid}`).join('')}\r\n${ok}`
        case 'UID STORE': {
          const [, sign, flags = ''] = /([+-]?)FLAGS(?:\.SILENT)? \(?([^)]*)\)?/i.exec(rest) ?? []
          const named = flags.split(' ').filter((flag) => flag !== '')
          for (const message of chosen(name))
            message.flags =
              sign === '+'
                ? [...new Set([...message.flags, ...named])]
                : sign === '-'
                  ? message.flags.filter((flag) => !named.includes(flag))
                  : named
          return ok
        }
        case 'EXPUNGE':
        case 'UID EXPUNGE': {
          if (selected === undefined) return `${tag} BAD no mailbox\r\n`
          const gone = (word === 'EXPUNGE' ? selected.messages : chosen(name)).filter(({ flags }) =>
            flags.includes('\\Deleted'),
          )
          let told = ''
          for (const message of gone) {
            told += `* ${selected.messages.indexOf(message) + 1} EXPUNGE\r\n`
            selected.messages.splice(selected.messages.indexOf(message), 1)
          }
          return told + ok
        }
        case 'APPEND': {
          if (mailbox === undefined) return `${tag} NO [TRYCREATE] no such mailbox\r\n`
          const [, flags = '', date = '', text = ''] = /^(?:\(([^)]*)\) )?(?:"([^"]*)" )?(~?\{.*)$/s.exec(rest) ?? []
          const message = imapMessage(mailbox.uidNext++, argumentOf(text)[0])
          message.flags = flags.split(' ').filter((flag) => flag !== '')
          if (date !== '') message.internalDate = date
          mailbox.messages.push(message)
          return `${tag} OK [APPENDUID ${mailbox.uidValidity} ${message.uid}] done\r\n`
        }
        case 'STARTTLS':
          return options.tls === undefined ? `${tag} BAD no\r\n` : ok
        case 'LOGOUT':
          return `* BYE bye\r\n${ok}`
        case 'IDLE':
          return '+ idling\r\n'
        default:
          return known.has(word) ? ok : `${tag} BAD unknown command\r\n`
      }
    }

    return {
      take: (input) => {
        let end = -2
        for (;;) {
          end = input.indexOf('\r\n', end + 2)
          if (end < 0) return undefined
          const header = /~?\{(\d+)(\+?)\}$/.exec(input.slice(0, end))
          if (header === null) return { line: input.slice(0, end), rest: input.slice(end + 2) }
          const behind = end + 2 + Number(header[1])
          if (input.length < behind) {
            if (header[2] === '+' || asked === end) return undefined
            asked = end
            return { ask: '+ go\r\n' }
          }
          asked = -1
          end = behind - 2
        }
      },
      exchange: (line, common) => {
        const [tag = '', first = '', ...more] = line.split(' ')
        const isUid = first.toUpperCase() === 'UID'
        const word = isUid ? `UID ${more[0]?.toUpperCase()}` : line === 'DONE' ? 'DONE' : first.toUpperCase()
        const argument = (isUid ? more.slice(1) : more).join(' ')
        return { ...common, line, tag, word, argument, selected }
      },
      usual,
      knows: (word) => known.has(word),
      tagged: ({ tag }, answer) =>
        typeof answer === 'string' && answer !== '' && !answer.endsWith('\n') ? `${tag} ${answer}\r\n` : answer,
      after: ({ word }, answer) =>
        word === 'LOGOUT' ? 'end' : word === 'STARTTLS' && / OK /.test(` ${String(answer)}`) ? 'tls' : undefined,
    }
  }
  const server = await scriptedServer(options, `* OK [CAPABILITY ${capabilities()}] ready\r\n`, dialogue)
  return Object.defineProperties(
    { mailboxes, options },
    Object.getOwnPropertyDescriptors(server),
  ) as unknown as ScriptedImap
}
