import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import { deliver, freshInbox, user } from './support.ts'

const processes = 8
/** Of each, before it counts: processes begin at different times, and slowly. */
const warmUp = 20
/** Of all together, counted after that. */
const commits = 1200

it('none of eight processes that commit to one mailbox as fast as they can starves', async () => {
  const { inbox, root } = await freshInbox()
  await deliver(inbox, 'x')
  const counts = Array.from({ length: processes }, () => 0)
  let warm: readonly number[] | undefined
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number)
  const enough = Promise.withResolvers<void>()
  const all = counts.map((_, index) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'contender.ts'), root, user, `k${index}`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill())
    const ready = Promise.withResolvers<void>()
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'ready') return ready.resolve()
      counts[index]! += 1
      if (warm === undefined && counts.every((count) => count >= warmUp)) warm = [...counts]
      if (warm !== undefined && sum(counts) - sum(warm) === commits) enough.resolve()
    })
    return { input: child.stdin, ready: ready.promise, ended }
  })
  for (const { ready } of all) await ready
  const before = inbox.highestModSeq
  for (const { input } of all) input.write('go\n')
  await enough.promise
  for (const { input } of all) input.end()
  for (const { ended } of all) expect(await ended).toBe(0)
  const made = counts.map((count, index) => count - warm![index]!)
  expect(Math.min(...made), made.join(' ')).toBeGreaterThanOrEqual(Math.max(...made) / 5)
  await inbox.refresh()
  // Every commit has a number of its own; a cut takes two more.
  expect(inbox.highestModSeq - before).toBeGreaterThanOrEqual(sum(counts))
})
