import { expect, it } from 'vitest'
import { BackendProfiles } from '#gateway/backend/profile.ts'
import { makeUserDatabase } from '#src/config/backends.ts'
import { configOf } from '#src/config/config.ts'
import { scriptedPop3 } from '#test/support/pop3-script.ts'
import { scriptedSmtp } from '#test/support/smtp-script.ts'
import { quick } from '../backend/maildrop.ts'
import { contents } from '../sync/support.ts'
import { anna, gatewayScene } from './support.ts'

const message = (n: number) => ({ uidl: `id${n}`, octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`) })

it('GW-23: smtp_injection, submit_host, submit_port and smtp_injection_sender hold for the next session after a reload', async () => {
  await using backend = await scriptedPop3({ messages: [message(1)], capabilities: ['UIDL'] })
  await using server = await scriptedSmtp()
  const options = {
    gateway_mode: true,
    ms_syncd_host: '127.0.0.1',
    ms_syncd_port: backend.port,
    suppress_client_tls: true,
    domain: 'example.net',
    smtp_injection: true,
    submit_host: '127.0.0.1',
    submit_port: server.port,
  }
  await using scene = await gatewayScene(backend.port, options)
  const reload = (changes: object) =>
    scene.gateway.reload({
      config: configOf({ ...options, ...changes }),
      users: makeUserDatabase(undefined, []),
      access: { profiles: new BackendProfiles(), limits: quick },
    })
  const next = async (n: number) => {
    backend.messages.push(message(n))
    const sessions = backend.received.filter((line) => line.endsWith('QUIT')).length
    // The session before may not be over yet: then the interval begins later.
    await scene.until(() => {
      scene.clock.turn(300)
      return backend.received.filter((line) => line.endsWith('QUIT')).length > sessions
    })
  }
  await scene.login()
  expect(server.lines.filter((line) => /^(MAIL|RCPT)/.test(line))).toEqual([
    expect.stringMatching(/^MAIL FROM:<mssync@example\.net> SIZE=\d+$/),
    `RCPT TO:<${anna}>`,
  ])
  expect(await contents(scene.test.store)).toEqual([])
  reload({ smtp_injection_sender: 'gateway@example.com' })
  await next(2)
  expect(server.lines.filter((line) => line.startsWith('MAIL FROM:<gateway@example.com>'))).toHaveLength(1)
  reload({ smtp_injection: false })
  await next(3)
  await scene.until(async () => (await contents(scene.test.store)).length === 1)
  expect(server.messages).toHaveLength(2)
})
