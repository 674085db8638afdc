/**
 * kill -9 in the middle of a first synchronisation: afterwards every backend message is there exactly once. mdir invariant 6
 * `npm run test:kills` does 500.
 */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { benchMessages } from '#bench/messages.ts'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { RawImap } from '../support/raw-imap.ts'
import { startWherry, type Wherry } from '../support/wherry.ts'

const kills = Number(process.env.WHERRY_KILLS ?? 50)
const messagesEach = 400
/** A supervisor waits longer before each restart (3 to 4 of each service make 100 to 800 ms); a fresh one takes seconds to start. */
const killsPerStart = 10
const victims = ['ms_syncd', 'imapd', 'mseventd'] as const

const digest = (octets: Buffer) => createHash('sha256').update(octets).digest('hex')

describe(`${kills} kills in first synchronisations`, () => {
  let dovecot: Dovecot
  let wherry: Wherry | undefined
  let inTheMiddle = 0
  const users = Array.from({ length: kills }, (_, index) => `u${index}`)
  const expected = [...benchMessages('small', messagesEach)].map(digest).sort()

  beforeAll(async () => {
    dovecot = await startDovecot({ users: Object.fromEntries(users.map((user) => [user, 'pw'])), protocols: ['pop3'] })
    for (const user of users) await dovecot.fill(user, benchMessages('small', messagesEach))
  }, 300_000)

  afterAll(async () => {
    await wherry?.stop()
    await dovecot?.stop()
  })

  const running = async (round: number) => {
    if (wherry !== undefined && round % killsPerStart !== 0) return wherry
    await wherry?.stop()
    wherry = await startWherry({
      options: { ms_syncd_host: '127.0.0.1', ms_syncd_port: dovecot.pop3Port, ms_sync_interval: -1 },
    })
    return wherry
  }

  /** Logs in, however often services have to come back first. */
  const mailboxOf = async (port: number, user: string): Promise<string[]> => {
    const giveUpAt = performance.now() + 60_000
    for (;;) {
      try {
        await using imap = await RawImap.connect(port)
        await imap.login(user, 'pw')
        await imap.command('EXAMINE INBOX')
        const lines = await imap.command('FETCH 1:* (BODY.PEEK[])')
        return lines.flatMap((line) => line.literals.map(digest)).sort()
      } catch (error) {
        if (performance.now() > giveUpAt) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  it.each(users.map((user, round) => [victims[round % victims.length]!, user, round] as const))(
    'killing %s loses and doubles nothing of %s',
    async (victim, user, round) => {
      const { imapPort, pids } = await running(round)
      let synchronised = false
      const login = (async () => {
        await using imap = await RawImap.connect(imapPort)
        await imap.login(user, 'pw')
        synchronised = true
      })().catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 250))
      if (!synchronised) inTheMiddle++
      for (const pid of pids(victim)) process.kill(pid, 'SIGKILL')
      await login
      expect(await mailboxOf(imapPort, user)).toEqual(expected)
    },
    120_000,
  )

  it('has mostly hit synchronisations that were under way', () => {
    expect(inTheMiddle).toBeGreaterThan(kills / 2)
  })
})
