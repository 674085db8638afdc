/** Where scripts are kept: what is promised of them, to several processes and across what operators do with accounts. SV-13, MS-05 */
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '#src/base/clock.ts'
import type { UserId } from '#src/base/ids.ts'
import { nodeFs } from '#src/store/fs.ts'
import { type ScriptLimits, scriptName, scriptsOf } from '#src/store/scripts.ts'
import type { Finding } from '#src/store/verify/finding.ts'
import { verify } from '#src/store/verify/verify.ts'
import { freshRoot, storeIn, user } from './support.ts'

const limits: ScriptLimits = { scripts: 5, octets: 32 * 1024 }

/** Two processes with one account. */
async function two() {
  const root = freshRoot()
  const [one, other] = [storeIn(root), storeIn(root)]
  onTestFinished(async () => {
    await one.close()
    await other.close()
  })
  await one.account(user).ensure()
  return { root, store: one, one: scriptsOf(one.account(user)), other: scriptsOf(other.account(user)) }
}

test('what is put is there for every process, octet by octet, whatever its name', async () => {
  const { one, other } = await two()
  const texts = new Map([
    ['../../etc/passwd', 'keep;\r\n'],
    ['a\\b "c" {3+}', '\ufeff# mark at the beginning\n'],
    ['Ferien – 休暇 🏖', 'discard;\n# \u0000 é 𝄞'],
    ['__proto__', 'stop;'],
    ['x'.repeat(512), ''],
  ])
  for (const [name, text] of texts) await one.put(name, text, limits)
  for (const [name, text] of texts) expect(await other.get(name)).toBe(text)
  expect(await other.list()).toEqual(
    [...texts]
      .map(([name, text]) => ({ name, octets: Buffer.byteLength(text), isActive: false }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  )
})

test('names are as RFC 5804 §1.6 has them, in one spelling', async () => {
  for (const name of ['', 'a\u0000', 'a\nb', '\u007f', 'x\u0085', 'a\u2028b', '\u2029', '\ud800'])
    expect(() => scriptName(name)).toThrow(expect.objectContaining({ kind: 'invalid' }))
  expect(() => scriptName('é'.repeat(257))).toThrow(expect.objectContaining({ kind: 'invalid' }))
  expect(scriptName('😀'.repeat(128))).toHaveLength(256)
  const { one, other } = await two()
  await one.put('e\u0301te\u0301', 'keep;', limits)
  expect(await other.get('été')).toBe('keep;')
})

test('one script is active or none: what is set active is what the next delivery finds (MS-05)', async () => {
  const { one, other } = await two()
  expect(await other.findActive()).toBeUndefined()
  await one.put('a', 'keep;', limits)
  await one.put('b', 'discard;', limits)
  expect(await other.findActive()).toBeUndefined()
  await other.activate('b')
  expect(await one.findActive()).toEqual({ name: 'b', text: 'discard;' })
  await one.activate('a')
  expect(await other.findActive()).toEqual({ name: 'a', text: 'keep;' })
  await other.put('a', 'stop;', limits)
  expect(await one.findActive()).toEqual({ name: 'a', text: 'stop;' })
  await one.rename('a', 'c')
  expect(await other.findActive()).toEqual({ name: 'c', text: 'stop;' })
  await expect(other.remove('c')).rejects.toMatchObject({ kind: 'in-use' })
  await expect(other.activate('nobody')).rejects.toMatchObject({ kind: 'not-found' })
  await other.activate(undefined)
  await one.activate(undefined)
  expect(await one.findActive()).toBeUndefined()
  await one.remove('c')
  expect((await other.list()).map(({ name }) => name)).toEqual(['b'])
})

test('what a process did a moment ago decides what another one may do', async () => {
  const { one, other } = await two()
  await one.put('a', 'keep;', limits)
  await other.activate('a')
  await one.activate(undefined)
  await other.activate('a')
  expect(await one.findActive()).toMatchObject({ name: 'a' })
  await one.rename('a', 'b')
  await expect(other.rename('a', 'c')).rejects.toMatchObject({ kind: 'not-found' })
  await one.put('a', 'stop;', limits)
  await expect(other.rename('b', 'a')).rejects.toMatchObject({ kind: 'already-exists' })
  await expect(other.rename('b', 'b')).rejects.toMatchObject({ kind: 'already-exists' })
  await expect(one.get('none')).rejects.toMatchObject({ kind: 'not-found' })
  await expect(one.remove('none')).rejects.toMatchObject({ kind: 'not-found' })
})

test('limits are kept, also by two processes at once (MS-02, MS-03)', async () => {
  const { one, other } = await two()
  await one.put('full', 'x'.repeat(limits.octets), limits)
  await expect(one.put('full', 'é'.repeat(limits.octets / 2 + 1), limits)).rejects.toMatchObject({ kind: 'too-big' })
  await expect(one.checkRoom('full', limits.octets + 1, limits)).rejects.toMatchObject({ kind: 'too-big' })
  const puts = Array.from({ length: 12 }, (_, index) => (index % 2 ? one : other).put(`s${index}`, 'keep;', limits))
  const kinds = (await Promise.allSettled(puts)).map((result) =>
    result.status === 'fulfilled' ? 'put' : result.reason.kind,
  )
  expect(kinds.filter((kind) => kind === 'put')).toHaveLength(4)
  expect(kinds.filter((kind) => kind === 'limit')).toHaveLength(8)
  expect(await one.list()).toHaveLength(5)
  await expect(one.checkRoom('another', 1, limits)).rejects.toMatchObject({ kind: 'limit' })
  await one.checkRoom('full', 1, limits)
  await one.put('full', 'keep;', limits)
  const wide: ScriptLimits = { scripts: 9, octets: 4_194_304 }
  await one.put('wide', 'x'.repeat(4_194_000), wide)
  await expect(one.put('more', 'x'.repeat(400), wide)).rejects.toMatchObject({ kind: 'too-big' })
})

test('scripts follow a user who is renamed, and msadm verify reads them with the account', async () => {
  const { root, store, one } = await two()
  await one.put('a', 'keep;', limits)
  await one.activate('a')
  const renamed = 'renamed@example.org' as UserId
  await store.rename(user, renamed)
  expect(await scriptsOf(store.account(renamed)).findActive()).toEqual({ name: 'a', text: 'keep;' })
  const findings: Finding[] = []
  await verify({
    fs: nodeFs,
    clock: systemClock,
    repair: false,
    deep: true,
    openStore: () => storeIn(root),
    roots: [root],
    onFinding: (finding) => findings.push(finding),
    onStep: () => {},
  })
  expect(findings).toEqual([])
})
