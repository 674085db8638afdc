/** IMAP servers that people meet, and worse ones: every row of the table I is a script with an outcome (`imap.script`). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type ImapExchange, type ImapMessage, imapMessage, scriptedImap } from '#test/support/imap-script.ts'
import { octetsOf, parseRows } from '#test/support/script.ts'
import { play, type Stage } from './play.ts'

const message = (n: number | string): ImapMessage =>
  imapMessage(Number(n), `Message-ID: <${n}@example.org>\r\nSubject: ${n}\r\n\r\nmessage ${n}\r\n`)
const rows = parseRows(readFileSync(join(import.meta.dirname, 'imap.script'), 'utf8'))

it.each(rows)('$id: $title', async (row) => {
  await using server = await scriptedImap({ mailboxes: { INBOX: [1, 2, 3, 4].map(message) } })
  const inbox = server.mailboxes.get('INBOX')!
  const stage: Stage<ImapExchange> = {
    server,
    backend: { protocol: 'imap', mailbox: '' },
    set: ([name, ...value]) => {
      const text = value.join(' ')
      if (name === 'capabilities') server.options.capabilities = value
      else if (name === 'greeting') server.options.greeting = octetsOf(text)
      else if (name === 'password') server.options.password = octetsOf(text)
      else if (name === 'pieces' || name === 'cutAfter') server.options[name] = Number(text)
      else throw new Error(`a row sets ${name}`)
    },
    change: ([verb, which, ...value]) => {
      const found = inbox.messages.find(({ uid }) => uid === Number(which))
      const text = octetsOf(value.join(' '))
      if (verb === 'size') found!.size = Number(text)
      else if (verb === 'octets') found!.octets = Buffer.from(text, 'latin1')
      else if (verb === 'flags') found!.flags = text.split(' ')
      else if (verb === 'uid') {
        found!.uid = Number(text)
        inbox.messages.sort((a, b) => a.uid - b.uid)
        inbox.uidNext = Math.max(inbox.uidNext, found!.uid + 1)
      } else if (verb === 'add') {
        inbox.messages.push(message(which!))
        inbox.uidNext = Number(which) + 1
      } else if (verb === 'drop') inbox.messages = inbox.messages.filter((each) => each !== found)
      else if (verb === 'validity') inbox.uidValidity = Number(which)
      else if (verb === 'mailbox')
        server.mailboxes.set(octetsOf(which!), { uidValidity: 7, uidNext: 10, messages: value.map((n) => message(n)) })
      else throw new Error(`a row changes ${verb}`)
    },
    there: () => new Map(inbox.messages.map(({ uid, octets }) => [String(uid), octets])),
  }
  await play(row, stage)
})

it('no row is missing', () => {
  const ids = new Set(rows.map(({ id }) => id))
  const wanted = Array.from({ length: 30 }, (_, n) => `I${n + 1}`)
  expect(wanted.filter((id) => !ids.has(id))).toEqual([])
})
