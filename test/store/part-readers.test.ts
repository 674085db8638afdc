import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { nodeFs } from '#src/store/fs.ts'
import { PartReaders } from '#src/store/part-readers.ts'
import { freshRoot } from './support.ts'

const files = (count: number): readonly string[] => {
  const root = freshRoot()
  return Array.from({ length: count }, (_, index) => {
    writeFileSync(`${root}/${index}`, `${index}: ${'x'.repeat(index)}`)
    return `${root}/${index}`
  })
}

it('answers each of many parts asked for at once, and its failures alone', async () => {
  const alone: string[] = []
  const readers = new PartReaders(async ({ path }) => {
    alone.push(path)
    throw new Error('was not read by the thread')
  })
  const paths = files(100)
  mkdirSync(`${paths[0]}.folder`)
  symlinkSync(paths[1]!, `${paths[0]}.link`)
  const told = await Promise.allSettled([
    ...paths.map((path) => readers.read(path, 1, 30)),
    readers.read(`${paths[0]}.folder`, 0, 1),
    readers.read(`${paths[0]}.link`, 0, 1),
    readers.read(`${paths[0]}.absent`, 0, 1),
  ])
  for (const [index, result] of told.slice(0, 100).entries()) {
    const text = `${index}: ${'x'.repeat(index)}`
    expect(result).toMatchObject({ status: 'fulfilled', value: { sizeOctets: text.length } })
    expect(result.status === 'fulfilled' && result.value.octets.toString()).toBe(text.slice(1, 31))
  }
  const reasons = told
    .slice(100)
    .map((result) => result.status === 'rejected' && (result.reason as { code: string }).code)
  expect(reasons).toEqual(['EINVAL', 'ELOOP', 'ENOENT'])
  expect(alone).toEqual([])
})

it('shares what is asked for among several threads where the disk is slow', async () => {
  const readers = new PartReaders(
    async () => {
      throw new Error('was not read by a thread')
    },
    { slowMs: 0 },
  )
  const paths = files(50)
  const all = () => Promise.all(paths.map((path) => readers.read(path, 0, 100)))
  const buffers = (parts: readonly { readonly octets: Buffer }[]) =>
    new Set(parts.map(({ octets }) => octets.buffer)).size
  // Each trip gives one buffer, of at most 32 files.
  expect(buffers(await all())).toBe(2)
  const parts = await all()
  expect(buffers(parts)).toBe(4)
  expect(parts.map(({ octets }) => octets.toString())).toEqual(
    paths.map((_, index) => `${index}: ${'x'.repeat(index)}`),
  )
})

it('asks a thread for many only', async () => {
  const alone: string[] = []
  const readers = new PartReaders(async ({ path }) => {
    alone.push(path)
    return { sizeOctets: 1, octets: Buffer.from('x') }
  })
  await Promise.all(['a', 'b', 'c'].map((path) => readers.read(path, 0, 1)))
  expect(alone).toEqual(['a', 'b', 'c'])
})

it.each([1, 10])('a file that was cut short since gives what it has (%i at once)', async (count) => {
  const [path] = files(1)
  truncateSync(path!, 2)
  const parts = await Promise.all(Array.from({ length: count }, () => nodeFs.readPart(path!, 1, 10)))
  for (const { sizeOctets, octets } of parts) expect([sizeOctets, octets.toString()]).toEqual([2, ':'])
})

it('reads by other means where the system has no thread left, and by a thread when it has one again', async () => {
  const alone: string[] = []
  let left = 0
  const readers = new PartReaders(
    async ({ path }) => {
      alone.push(path)
      return { sizeOctets: 1, octets: Buffer.from('x') }
    },
    {
      start: () => {
        // As Node says it where the limit of a process's threads is reached.
        if (left === 0)
          throw Object.assign(new Error('Worker initialization failure: EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
        return new Worker(new URL('../../src/store/part-reader.ts', import.meta.url))
      },
    },
  )
  const paths = files(100)
  const all = () => Promise.all(paths.map((path) => readers.read(path, 0, 1)))
  await all()
  expect(alone).toEqual(paths)
  left = 1
  await all()
  expect(alone).toEqual(paths)
})
