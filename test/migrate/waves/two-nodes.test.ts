/** Two ms_syncd on one store, as processes: a wave is run by one of them, and by the other when that is killed. docs/decisions/0291-leases.md */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { scriptedPop3 } from '#test/support/pop3-script.ts'

const names = ['anna', 'bert', 'carl', 'dora']
const members = (users: readonly string[]) =>
  users.map((name) => ({
    userId: `${name}@example.org`,
    given: `${name}@example.org`,
    properties: [],
    password: Buffer.from('pw').toString('base64'),
  }))

it('one runs a wave, whoever is asked, and the other one goes on with it when that is killed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'two-nodes-'))
  await writeFile(join(directory, 'key'), Buffer.alloc(32, 7))
  const messages = [1, 2, 3].map((n) => ({ uidl: `id${n}`, octets: Buffer.from(`Subject: ${n}\r\n\r\n${n}\r\n`) }))
  const backend = await scriptedPop3({ messages, capabilities: ['UIDL', 'USER'] })
  const logins: string[] = []
  backend.on('USER', ({ argument }, usual) => {
    logins.push(argument.split('@')[0]!)
    return usual()
  })
  // The second member of the first wave gets nothing, as long as it is so.
  let isSlow = true
  backend.on('RETR', (_, usual) => (isSlow && logins.includes('bert') ? '' : usual()))
  onTestFinished(async () => {
    await backend[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })
  const node = async () => {
    const child = fork(join(import.meta.dirname, 'node.ts'), [directory, String(backend.port)])
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'message')
    return child
  }
  const call = async (child: ChildProcess, ...what: readonly unknown[]) => {
    child.send(what)
    const [answer] = await once(child, 'message')
    return answer
  }
  const [first, second] = await Promise.all([node(), node()])
  await call(first, 'add', 'one', members(names))
  await call(first, 'limits', 'one', { atOnce: 1 })
  await call(first, 'begin', 'one', 'pull')
  await vi.waitFor(async () => {
    expect(backend.received).toContain('2 RETR 1')
    const { answer } = await call(first, 'status', 'one')
    expect(answer.members[0]).toMatchObject({ state: 'migrated', isRunning: false })
  }, 20_000)
  const refused = await call(second, 'begin', 'one', 'pull')
  expect(refused.refusal).toMatch(
    new RegExp(`^the wave one is run by another ms_syncd of this store \\(process ${first.pid} on `),
  )
  expect((await call(second, 'list')).answer.waves).toMatchObject([{ name: 'one', state: 'pull', members: 4 }])
  // Another wave may be run by another one.
  expect(await call(second, 'add', 'two', members(['emil']))).toEqual({ answer: { ok: true, added: 1, known: 0 } })
  expect((await call(first, 'add', 'two', members(['fred']))).refusal).toContain('run by another ms_syncd')
  const before = [...logins]
  expect(new Set(before).size).toBe(before.length)
  isSlow = false
  first.kill('SIGKILL')
  await vi.waitFor(async () => {
    const { answer } = await call(second, 'status', 'one')
    expect(answer.wave).toMatchObject({ state: 'pulled', states: { migrated: 4 } })
  }, 20_000)
  // Who was through is not pulled again.
  expect(logins.slice(before.length)).toEqual(['bert', 'carl', 'dora'])
})
