import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { formatRecord, type MigrationRecord, nothingCounted, readRecord } from '#migrate/records/record.ts'
import { MigrationRecords } from '#migrate/records/records.ts'
import type { UserId } from '#src/base/ids.ts'

const anna = 'anna@example.org' as UserId
const record: MigrationRecord = {
  userId: anna,
  given: 'anna',
  state: 'pulling',
  since: 2,
  begun: 1,
  wave: 'first',
  account: { properties: [['mail', anna]], by: 'operator', renumbered: true },
  counts: { listed: 3, here: 2, notGiven: 1, octets: 100 },
  secret: 'c2VhbGVk',
}

const directoryOf = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'migrations-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

it('a record is read as it was written', () => {
  expect(readRecord(formatRecord(record), 'x.json')).toEqual(record)
})

const changed = (change: Readonly<Record<string, unknown>>) =>
  Buffer.from(JSON.stringify({ version: 1, ...record, ...change }))

it.each<[what: string, octets: Buffer, says: string]>([
  ['half of one', formatRecord(record).subarray(0, 80), 'is not JSON'],
  ['nothing', Buffer.alloc(0), 'is not JSON'],
  ['a list', Buffer.from('[]'), 'is not an object'],
  ['another version', changed({ version: 2 }), 'version'],
  ['nobody', changed({ userId: '' }), 'whose'],
  ['an unknown state', changed({ state: 'done' }), 'state'],
  ['no time', changed({ since: '2026' }), 'since when'],
  ['a negative count', changed({ counts: { ...nothingCounted, listed: -1 } }), 'counts'],
  ['a secret that is a number', changed({ secret: 5 }), 'secret'],
  ['a property without value', changed({ account: { properties: [['mail']], by: 'login' } }), 'properties'],
  ['too much', changed({ reason: 'x'.repeat(300_000) }), 'octets'],
])('a damaged file is refused, and says what is wrong: %s', (_, octets, says) => {
  expect(() => readRecord(octets, 'x.json')).toThrow(says)
  expect(() => readRecord(octets, 'x.json')).toThrow('x.json')
})

it('a damaged record hides no other', async () => {
  const directory = await directoryOf()
  const records = new MigrationRecords(directory)
  await records.change(anna, () => record)
  await writeFile(join(directory, 'broken.json'), '{')
  const { records: found, damaged } = await records.list()
  expect(found).toEqual([record])
  expect(damaged).toEqual([expect.stringContaining('broken.json')])
})

it('changes at the same time are all kept', async () => {
  const records = new MigrationRecords(await directoryOf())
  await records.change(anna, () => record)
  const add = () =>
    records.change(anna, (before) => ({ ...before!, counts: { ...before!.counts, octets: before!.counts.octets + 1 } }))
  await Promise.all(Array.from({ length: 20 }, add))
  expect((await records.find(anna))?.counts.octets).toBe(120)
})

it('a change that is none writes nothing, and one that fails lets the next one through', async () => {
  const directory = await directoryOf()
  const records = new MigrationRecords(directory)
  expect(await records.change(anna, () => undefined)).toBeUndefined()
  await expect(
    records.change(anna, () => {
      throw new RangeError('no')
    }),
  ).rejects.toThrow('no')
  await records.change(anna, () => record)
  expect(await readdir(directory)).toHaveLength(1)
})
