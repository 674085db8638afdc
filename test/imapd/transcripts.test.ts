/** The transcripts against imapd. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type RunningImapd, startImapd } from './support.ts'
import { runTranscript } from './transcript.ts'

const directory = join(import.meta.dirname, 'transcripts')
const scenarios = readdirSync(directory)
  .sort()
  .map((file, index) => ({ file, user: `user${index}@example.org`, text: readFileSync(join(directory, file), 'utf8') }))

let imapd: RunningImapd
beforeAll(async () => {
  imapd = await startImapd(scenarios.map(({ user }) => user))
})
afterAll(() => imapd.stop())

describe('imapd', () => {
  for (const { file, user, text } of scenarios)
    it(`${file}: ${text.slice(0, text.indexOf('\n'))}`, () => runTranscript(text, imapd.as(user)))
})
