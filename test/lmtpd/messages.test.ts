import { expect, it } from 'vitest'
import { fixtureMessages, sampleMessages } from '../support/messages.ts'
import { changedByTheWay } from './round-trip.ts'
import { startLmtpd } from './support.ts'
import { LmtpClient } from './transcript.ts'

it('messages of all kinds come back through IMAP octet for octet', async () => {
  const made = sampleMessages(12).map((octets, index) => ({ name: `sample ${index}`, octets }))
  expect(await changedByTheWay([...fixtureMessages(), ...made])).toEqual([])
})

it('a message of 50 MB passes with little memory (LMTP-08)', async () => {
  await using lmtpd = await startLmtpd(['anna@example.org'])
  const client = await LmtpClient.greeted(lmtpd.tcp)
  await client.say('MAIL FROM:<>')
  await client.say('RCPT TO:<anna@example.org>')
  await client.say('DATA')
  const line = `.${'x'.repeat(70)}\r\n`
  const piece = Buffer.from(line.repeat(14_000))
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  for (let left = 50; left > 0; left--) {
    await client.send(piece)
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  }
  expect(await client.say('.')).toMatch(/^250 2\.0\.0 /)
  expect((await lmtpd.stored('anna@example.org'))[0]!.length).toBeGreaterThan(50 * 1_000_000)
  // lmtp_data_size, what sockets hold, and a lot of garbage.
  expect(most).toBeLessThan(44 * 1024 * 1024)
})
