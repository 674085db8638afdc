/**
 * The machine's own file system, as the store uses it: what it is told to make durable is synced before anybody hears so, a write that
 * takes a part is gone on with, and a sync that failed is not tried again. The system's calls are watched, and answered wrongly, at `node:fs`.
 */

import fs, { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeFs } from '#src/store/fs.ts'
import { systemError } from '../disk.ts'
import type { Job, Result } from './jobs.ts'

type Done = (error: Error | null, ...results: unknown[]) => void
type System = Record<'open' | 'write' | 'writev' | 'fsync', (...details: unknown[]) => void>
const system = fs as unknown as System

/** Sees every call; answers in its place when it says so. */
type Watch = (name: keyof System, details: readonly unknown[], done: Done) => boolean

async function watching<T>(watch: Watch, work: () => Promise<T>): Promise<T> {
  const own = { open: fs.open, write: fs.write, writev: fs.writev, fsync: fs.fsync } as unknown as System
  for (const name of Object.keys(own) as (keyof System)[])
    system[name] = (...details) => {
      if (!watch(name, details, details.at(-1) as Done)) own[name](...details)
    }
  try {
    return await work()
  } finally {
    Object.assign(system, own)
  }
}

const text = 'From: a\r\n\r\nof more than a few octets\r\n'
const pieces = [Buffer.from(text.slice(0, 7)), Buffer.from(text.slice(7))]

/** The two ways to make a file whose octets are durable. */
const ways: Readonly<Record<string, (path: string) => Promise<void>>> = {
  'in one': (path) => nodeFs.write(path, ...pieces),
  streamed: async (path) => {
    const file = await nodeFs.create(path)
    try {
      await file.write(...pieces)
      await file.finish()
    } finally {
      await file.discard()
    }
  },
}

type Check = (path: string, make: (path: string) => Promise<void>) => Promise<string | undefined>

const checks: Readonly<Record<string, Check>> = {
  'the octets are synced': async (path, make) => {
    let synced = false
    await watching(
      (name, [, flags]) => {
        if (name === 'fsync' || (name === 'open' && (Number(flags) & fs.constants.O_DSYNC) !== 0)) synced = true
        return false
      },
      () => make(path),
    )
    return synced && readFileSync(path, 'latin1') === text ? undefined : 'the octets were never synced'
  },
  'a short write is gone on with': async (path, make) => {
    await watching(
      (name, [fd, given], done) => {
        if (name !== 'write' && name !== 'writev') return false
        const octets = Buffer.concat(Array.isArray(given) ? (given as Buffer[]) : [given as Buffer])
        const count = fs.writeSync(fd as number, octets.subarray(0, Math.ceil(octets.length / 3)))
        process.nextTick(() => done(null, count))
        return true
      },
      () => make(path),
    )
    return readFileSync(path, 'latin1') === text ? undefined : 'a part of the file is missing'
  },
  'a write that takes nothing is told': (path, make) =>
    refused(
      'write',
      () => make(path),
      (done) => done(null, 0),
    ),
  'a failed write is told': (path, make) =>
    refused(
      'write',
      () => make(path),
      (done) => done(systemError('EIO')),
    ),
  'a failed sync is told, and not tried again': async (path) => {
    let syncs = 0
    const fault = await refused(
      'fsync',
      () => ways.streamed!(path),
      (done) => {
        syncs += 1
        // As Linux does: the second one has nothing left to write.
        done(syncs === 1 ? systemError('EIO') : null)
      },
    )
    return fault ?? (syncs === 1 ? undefined : `synced ${syncs} times`)
  },
  'a folder is synced': async (path) => {
    fs.mkdirSync(path)
    let syncs = 0
    await watching(
      (name) => {
        if (name === 'fsync') syncs += 1
        return false
      },
      () => nodeFs.syncDirectory(path),
    )
    return syncs === 1 ? undefined : `synced ${syncs} times`
  },
}

/** The violation when `work` ends well although the system gave this answer. */
async function refused(
  call: 'write' | 'fsync',
  work: () => Promise<void>,
  answer: (done: Done) => void,
): Promise<string | undefined> {
  const concerns = (name: string) => name === call || (call === 'write' && name === 'writev')
  const watch: Watch = (name, _, done) => {
    if (!concerns(name)) return false
    process.nextTick(() => answer(done))
    return true
  }
  return await watching(watch, work).then(
    () => 'was taken for done',
    () => undefined,
  )
}

async function run(): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'wherry-proof-'))
  const faults: string[] = []
  let cases = 0
  try {
    for (const [what, check] of Object.entries(checks))
      for (const [way, make] of Object.entries(ways)) {
        cases += 1
        const fault = await check(join(directory, String(cases)), make).catch((error: unknown) => String(error))
        if (fault !== undefined) faults.push(`${what}, ${way}: ${fault}`)
      }
  } finally {
    rmSync(directory, { recursive: true })
  }
  return { cases, details: {}, faults }
}

export const fileChecks: readonly Job[] = [{ proof: 'file system', name: 'file system', run }]
