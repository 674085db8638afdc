import { expect, it } from 'vitest'
import type { ConfigOverrides } from '#src/config/config.ts'
import { imapMessage, scriptedImap } from '#test/support/imap-script.ts'
import { contents } from '../sync/support.ts'
import { gatewayScene } from './support.ts'

const count = 250

it.each<[ConfigOverrides, number]>([
  [{}, 100],
  [{ backend_fetch_set_size: 40 }, 40],
])('GW-19: %j asks an IMAP backend for at most %i messages at once', async (overrides, most) => {
  const messages = Array.from({ length: count }, (_, n) => imapMessage(n + 1, `Subject: ${n}\r\n\r\n${n}\r\n`))
  await using backend = await scriptedImap({ mailboxes: { INBOX: messages } })
  const sizes: number[] = []
  backend.on('UID FETCH', ({ argument }, usual) => {
    const answer = usual()
    if (argument.includes('BODY.PEEK[]')) sizes.push(String(answer).match(/^\* \d+ FETCH /gm)!.length)
    return answer
  })
  await using scene = await gatewayScene(backend.port, { ms_syncd_protocol: 'imap', ...overrides })
  await scene.login()
  expect(await contents(scene.test.store)).toHaveLength(count)
  expect(Math.max(...sizes)).toBe(most)
  expect(sizes).toHaveLength(Math.ceil(count / most))
})
