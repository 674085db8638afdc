/** The transcripts against lmtpd. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type RunningLmtpd, startLmtpd } from './support.ts'
import { runTranscript } from './transcript.ts'

const directory = join(import.meta.dirname, 'transcripts')

/** Each transcript has its own: `pat@foo.edu` stands for `pat.<file>@example.org`. */
const users = ['pat', 'jones', 'green', 'chris', 'anna']

let lmtpd: RunningLmtpd
beforeAll(async () => {
  lmtpd = await startLmtpd(
    readdirSync(directory).flatMap((file) => users.map((user) => `${user}.${nameOf(file)}@example.org`)),
    {},
    { tls: true },
  )
})
afterAll(() => lmtpd.stop())

const nameOf = (file: string) => file.replace('.txt', '')

describe('lmtpd', () => {
  for (const file of readdirSync(directory).sort()) {
    const text = readFileSync(join(directory, file), 'utf8').replaceAll('@foo.edu', `.${nameOf(file)}@example.org`)
    it(`${file}: ${text.slice(0, text.indexOf('\n'))}`, () =>
      runTranscript(text, lmtpd.tcp, async (user, mailbox) => (await lmtpd.stored(user, mailbox)).length))
  }
})
