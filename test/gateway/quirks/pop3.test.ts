/** POP3 servers that people meet, and worse ones: every row of the tables P and B is a script with an outcome (`pop3.script`). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type ScriptedMessage, scriptedPop3 } from '#test/support/pop3-script.ts'
import { octetsOf, parseRows } from '#test/support/script.ts'
import { play, type Stage } from './play.ts'

const message = (n: number | string): ScriptedMessage => ({
  uidl: `id${n}`,
  octets: Buffer.from(`Subject: ${n}\r\n\r\nmessage ${n}\r\n`),
})
const rows = parseRows(readFileSync(join(import.meta.dirname, 'pop3.script'), 'utf8'))

it.each(rows)('$id: $title', async (row) => {
  await using server = await scriptedPop3({
    messages: [1, 2, 3, 4].map(message),
    capabilities: ['PIPELINING', 'UIDL', 'TOP'],
  })
  const numbers = new Map(server.messages.map((each, index) => [each, String(index + 1)]))
  const stage: Stage<Parameters<Parameters<typeof server.on>[1]>[0]> = {
    server,
    backend: {},
    set: ([name, ...value]) => {
      const text = value.join(' ')
      if (name === 'capabilities') server.options.capabilities = text === 'none' ? undefined : value
      else if (name === 'greeting') server.options.greeting = octetsOf(text)
      else if (name === 'pieces' || name === 'cutAfter') server.options[name] = Number(text)
      else throw new Error(`a row sets ${name}`)
    },
    change: ([verb, which, ...value]) => {
      const found = server.messages.find(({ uidl }) => uidl === `id${which}`)
      const text = octetsOf(value.join(' '))
      if (verb === 'uidl') found!.uidl = text
      else if (verb === 'size') found!.size = Number(text)
      else if (verb === 'octets') found!.octets = Buffer.from(text, 'latin1')
      else if (verb === 'repeat')
        found!.octets = Buffer.from(
          `Subject: ${which}\r\n\r\n${octetsOf(value.slice(1).join(' ')).repeat(Number(value[0]))}`,
          'latin1',
        )
      else if (verb === 'add') {
        server.messages.push(message(which!))
        numbers.set(server.messages.at(-1)!, which!)
      } else if (verb === 'drop') server.messages = server.messages.filter((each) => each !== found)
      else if (verb === 'reverse') server.messages.reverse()
      else throw new Error(`a row changes ${verb}`)
    },
    there: () => new Map(server.messages.map((each) => [numbers.get(each)!, each.octets])),
  }
  await play(row, stage)
})

it('no row is missing', () => {
  const ids = new Set(rows.map(({ id }) => id))
  const wanted = [
    ...Array.from({ length: 16 }, (_, n) => `P${n + 1}`),
    ...Array.from({ length: 15 }, (_, n) => `B${n + 1}`),
  ]
  expect(wanted.filter((id) => !ids.has(id))).toEqual([])
})
