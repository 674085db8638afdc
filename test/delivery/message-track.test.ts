import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '#src/base/clock.ts'
import { openMessageTrack } from '#src/delivery/message-track.ts'

let directory: string
let path: string
let nowMs: number
let complaints: string[]
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'track-'))
  path = join(directory, 'ms', 'msg_track.db')
  nowMs = Date.UTC(2026, 0, 10, 12)
  complaints = []
})
afterEach(() => rm(directory, { recursive: true }))

const day = 86_400
const clock: Clock = { ...systemClock, now: () => nowMs, monotonic: () => nowMs }
const log = {
  log: (_: string, message: string) => complaints.push(message),
  child: () => log,
}
const opened = (historySeconds = () => 7 * day) => openMessageTrack({ path, clock, log, historySeconds })
const pass = (seconds: number) => {
  nowMs += seconds * 1_000
}

describe('LMTP-06: msgtrack_db', () => {
  it('keeps records for as long as they count, and no file after that', async () => {
    const track = opened()
    await track.add([
      { kind: 'duplicate', owner: 'anna', key: 'a' },
      { kind: 'vacation', owner: 'anna', key: 'bea', seconds: 20 * day },
    ])
    expect(await track.find('duplicate', 'anna', 'a')).toBe(Date.UTC(2026, 0, 10, 12) / 1_000)
    expect(await track.find('duplicate', 'bea', 'a')).toBeUndefined()
    expect(await track.find('id', 'anna', 'a')).toBeUndefined()
    pass(7 * day + 1)
    expect(await track.find('duplicate', 'anna', 'a')).toBeUndefined()
    expect(await track.find('vacation', 'anna', 'bea')).toBeDefined()
    expect(await readdir(path)).toHaveLength(2)
    pass(3 * day)
    await track.find('id', 'anna', 'a')
    expect((await readdir(path)).map((name) => name.slice(0, 10))).toEqual(['2026-02-01'])
    await track.close()
  })

  it('takes any period, in few files', async () => {
    const track = opened()
    await track.add([{ kind: 'id', owner: 'anna', key: 'ever', seconds: Number.MAX_SAFE_INTEGER }])
    expect(await track.find('id', 'anna', 'ever')).toBeDefined()
    await track.add(
      Array.from({ length: 365 }, (_, days) => ({
        kind: 'id' as const,
        owner: 'anna',
        key: `${days}`,
        seconds: days * day,
      })),
    )
    expect((await readdir(path)).length).toBeLessThan(25)
    pass(364 * day - 1)
    expect(await track.find('id', 'anna', '364')).toBeDefined()
    await track.close()
  })

  it('is shared by processes, which hear of each other after a second, and outlives them', async () => {
    const [first, second] = [opened(), opened()]
    expect(await second.find('id', 'anna', 'x')).toBeUndefined()
    await Promise.all(
      Array.from({ length: 3_000 }, (_, index) => first.add([{ kind: 'id', owner: 'anna', key: `${index}` }])),
    )
    pass(1)
    for (const key of ['0', '1499', '2999']) expect(await second.find('id', 'anna', key)).toBeDefined()
    await first.add([{ kind: 'id', owner: 'anna', key: 'later' }])
    pass(1)
    expect(await second.find('id', 'anna', 'later')).toBeDefined()
    await first.close()
    const third = opened()
    for (let index = 0; index < 3_000; index++) expect(await third.find('id', 'anna', `${index}`)).toBeDefined()
    expect(await readdir(path)).toHaveLength(1)
  })

  it('shows what it was told to show, the newest of each', async () => {
    const track = opened()
    const answered = (shown: string) => track.add([{ kind: 'vacation', owner: 'anna', key: shown, shown }])
    await answered('bea@example.org')
    await answered('zoë@example.org')
    pass(day)
    await answered('bea@example.org')
    await track.add([{ kind: 'vacation', owner: 'bea', key: 'x', shown: 'other' }])
    const all: unknown[] = []
    for await (const shown of opened().list('vacation', 'anna')) all.push(shown)
    const at = nowMs / 1_000
    expect(all).toEqual([
      { at, text: 'bea@example.org' },
      { at: at - day, text: 'zoë@example.org' },
    ])
    await track.close()
  })

  it('leaves out what is damaged, says so once, and goes on', async () => {
    const track = opened()
    for (const key of ['a', 'b', 'c']) await track.add([{ kind: 'id', owner: 'anna', key }])
    await track.close()
    const [name] = await readdir(path)
    const text = await readFile(join(path, name!), 'latin1')
    const lines = text.split('\n')
    await writeFile(join(path, name!), [lines[0], `X${lines[1]!.slice(1)}`, lines[2], ''].join('\n'))
    await appendFile(join(path, name!), lines[0]!.slice(0, 20))
    const again = opened()
    expect(await again.find('id', 'anna', 'a')).toBeDefined()
    expect(await again.find('id', 'anna', 'b')).toBeUndefined()
    expect(await again.find('id', 'anna', 'c')).toBeDefined()
    await again.add([{ kind: 'id', owner: 'anna', key: 'b' }])
    expect(await again.find('id', 'anna', 'b')).toBeDefined()
    expect(complaints).toEqual(['msgtrack_db is damaged: what can not be read of it is left out'])
    await again.close()
  })

  it('begins anew where something else lies in its place, which is kept', async () => {
    await rm(directory, { recursive: true })
    directory = await mkdtemp(join(tmpdir(), 'track-'))
    path = join(directory, 'msg_track.db')
    await writeFile(path, 'SQLite format 3')
    const track = opened()
    await track.add([{ kind: 'id', owner: 'anna', key: 'a' }])
    expect(await track.find('id', 'anna', 'a')).toBeDefined()
    expect((await readdir(directory)).sort()).toEqual([
      'msg_track.db',
      expect.stringMatching(/^msg_track\.db\.damaged-/),
    ])
    expect(complaints).toHaveLength(1)
    await track.close()
  })
})
