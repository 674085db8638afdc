import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { startDovecot } from '#test/support/dovecot.ts'
import { clientExpunges, contents, testStore } from './support.ts'

const count = 1_500
const body = 'text of a message that is neither short nor long, as most of them are\r\n'.repeat(20)
const mail = Array.from({ length: count }, (_, n) => Buffer.from(`Subject: ${n}\r\n\r\n${body}`))

it('B3, F30: killed with SIGKILL at random moments, everything is there exactly once', async () => {
  await using dovecot = await startDovecot({ users: { anna: 'pw' }, protocols: ['pop3'] })
  await dovecot.fill('anna', mail)
  const root = await mkdtemp(join(tmpdir(), 'gateway-kill-'))
  try {
    const program = join(import.meta.dirname, 'killed-sync.ts')
    let kills = 0
    for (let whole = false; !whole; ) {
      const sync = spawn(process.execPath, [program, String(dovecot.pop3Port), root], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(sync.stdout, 'data')
      // A moment later each time, so that some kills meet every phase: login, listing, fetching, committing.
      const timer = setTimeout(() => sync.kill('SIGKILL'), 20 + kills * 60 + Math.random() * 60)
      const [code, signal] = await once(sync, 'exit')
      clearTimeout(timer)
      if (signal === 'SIGKILL') kills++
      else expect(code).toBe(0)
      whole = signal === null
    }
    await using test = await testStore(root)
    const subjects = (await contents(test.store)).map((octets) => octets.toString().split('\r\n')[0])
    expect(kills).toBeGreaterThan(3)
    expect(subjects).toHaveLength(count)
    expect(new Set(subjects).size).toBe(count)
    // What a client deleted stays deleted, whatever is killed.
    await clientExpunges(test.store, ({ uid }) => uid % 2 === 0)
    const again = spawn(process.execPath, [program, String(dovecot.pop3Port), root], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(again.stdout, 'data')
    await once(again, 'exit')
    expect(await contents(test.store)).toHaveLength(count / 2)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}, 300_000)
