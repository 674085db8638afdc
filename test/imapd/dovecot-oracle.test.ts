/** The transcripts against Dovecot: what they expect is what a server that we didn't write answers, but for the marked ones. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { runTranscript } from './transcript.ts'

const directory = join(import.meta.dirname, 'transcripts')
const scenarios = readdirSync(directory)
  .sort()
  .map((file) => ({ file, text: readFileSync(join(directory, file), 'utf8') }))
  .filter(({ text }) => !text.includes('\n# not Dovecot: '))
const users = Object.fromEntries(scenarios.map((_, index) => [`user${index}@example.org`, 'secret']))

let dovecot: Dovecot
beforeAll(async () => {
  dovecot = await startDovecot({
    users,
    protocols: ['imap'],
    extra: 'mail_attribute_dict = file:%h/attributes\nprotocol imap {\n  imap_metadata = yes\n}\n',
  })
})
afterAll(() => dovecot.stop())

describe('Dovecot', () => {
  for (const [index, { file, text }] of scenarios.entries()) {
    it(`${file}: ${text.slice(0, text.indexOf('\n'))}`, () =>
      runTranscript(text, {
        host: '127.0.0.1',
        port: dovecot.imapPort,
        user: `user${index}@example.org`,
        password: 'secret',
      }))
  }
})
