import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import { StoreError } from '#src/base/errors.ts'
import { deliver, freshRoot, storeIn, textOf, user } from './support.ts'

const kills = Number(process.env.WHERRY_KILLS ?? 6)
/** Enough for the signs of life of a busy machine, short enough to wait for. */
const moverSilenceMs = 1500

/** On another file system than the temporary directory, where there is one. */
function otherDisk(): string {
  if (!existsSync('/dev/shm')) return freshRoot()
  const root = mkdtempSync('/dev/shm/wherry-store-')
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  return root
}

it('an account that is moved by processes that are killed at random keeps every message while others deliver', async () => {
  const roots = [freshRoot(), otherDisk()] as const
  const open = () => storeIn(roots[0], { partitions: [roots[1]], partitionRule: 'first', moverSilenceMs })
  await using store = open()
  await store.account(user).ensure()
  const acknowledged: string[] = []
  let writing = true
  let refused = 0
  const writers = ['one', 'two'].map(async (name) => {
    await using own = open()
    for (let count = 0; writing; count += 1) {
      const text = `${name} ${count} ${'x'.repeat(count % 50 === 0 ? 300_000 : 300)}`
      try {
        await using inbox = await own.account(user).open('INBOX')
        await deliver(inbox, text)
        acknowledged.push(text)
      } catch (error) {
        if (!(error instanceof StoreError && ['unavailable', 'not-found'].includes(error.kind))) throw error
        refused += 1
      }
      await systemClock.sleep(5)
    }
  })
  let moves = 0
  for (let kill = 0; kill < kills; kill += 1) {
    const args = [join(import.meta.dirname, 'mover.ts'), user, String(moverSilenceMs), ...roots]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })
    const ended = new Promise<void>((resolve) => lines.on('close', () => resolve()))
    let began = () => {}
    const busy = new Promise<void>((resolve) => {
      began = resolve
    })
    // Each is killed at another phase.
    const wanted = ['counting', 'copying', 'frozen', 'removing', 'moved'][kill % 5]!
    lines.on('line', (line) => {
      if (line.startsWith('moved')) moves += 1
      if (line.startsWith(wanted)) began()
    })
    await Promise.race([busy, ended])
    if (kill % 2 === 0) await systemClock.sleep(Math.random() * 30)
    child.kill('SIGKILL')
    await ended
  }
  writing = false
  await Promise.all(writers)
  // Whoever died while the account was frozen is waited for.
  await expect
    .poll(
      () =>
        store
          .account(user)
          .exists()
          .catch(() => false),
      { timeout: 10_000 },
    )
    .toBe(true)
  expect(roots.filter((root) => readdirSync(root).includes(user))).toHaveLength(1)
  await using inbox = await store.account(user).open('INBOX')
  const found = new Map<string, number>()
  for (const { uid } of inbox.messages) {
    const text = await textOf(inbox, uid)
    found.set(text, (found.get(text) ?? 0) + 1)
  }
  expect(acknowledged.filter((text) => found.get(text) !== 1)).toEqual([])
  expect([moves, refused, acknowledged.length].map((count) => count > 0)).toEqual([true, true, true])
}, 120_000)
