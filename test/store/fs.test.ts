import { execFileSync } from 'node:child_process'
import fs, { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { nodeFs } from '#src/store/fs.ts'
import { freshRoot } from './support.ts'

const digits = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => Buffer.from(`${from + index} `))

describe('the file system', () => {
  it('writes any number of pieces in order, empty ones among them', async () => {
    const path = join(freshRoot(), 'file')
    const pieces = [Buffer.alloc(0), ...digits(0, 3000), Buffer.alloc(0)]
    await nodeFs.write(path, ...pieces)
    expect(readFileSync(path).equals(Buffer.concat(pieces))).toBe(true)
    await expect(nodeFs.write(path, Buffer.from('x'))).rejects.toMatchObject({ code: 'EEXIST' })
    await nodeFs.write(`${path}2`)
    expect(readFileSync(`${path}2`)).toHaveLength(0)
  })

  // No real disk can be told to do this and then go on; one that stops there is in the next test.
  it.each([1, 2, 3, 7, 8, 9])('goes on behind a write that took %i octets at most', async (most) => {
    const writev = fs.writev
    const spy = vi.spyOn(fs, 'writev').mockImplementation(((
      fd: number,
      pieces: readonly NodeJS.ArrayBufferView[],
      position: number | null,
      done: (error: NodeJS.ErrnoException | null, count: number, all: NodeJS.ArrayBufferView[]) => void,
    ) => {
      const part = Buffer.concat(pieces as readonly Buffer[]).subarray(0, most)
      writev(fd, [part], position, done)
    }) as typeof fs.writev)
    onTestFinished(() => spy.mockRestore())
    const path = join(freshRoot(), 'file')
    const pieces = digits(0, 40)
    await nodeFs.write(path, ...pieces)
    const file = await nodeFs.create(`${path}2`)
    await file.write(...pieces)
    await file.finish()
    expect(readFileSync(path, 'latin1')).toBe(Buffer.concat(pieces).toString('latin1'))
    expect(readFileSync(`${path}2`, 'latin1')).toBe(Buffer.concat(pieces).toString('latin1'))
    expect(spy).toHaveBeenCalled()
  })

  it('does not take a file that the system cut short for a whole one', () => {
    // The kernel takes what fits below the limit of 8 blocks (4096 octets), and refuses the rest.
    const path = join(freshRoot(), 'file')
    const program = `
      const { nodeFs } = await import(${JSON.stringify(new URL('../../src/store/fs.ts', import.meta.url).href)})
      const piece = Buffer.alloc(3000)
      const told = await nodeFs.write(process.argv[1], piece, piece).then(() => 'written', (error) => error.code)
      console.log(told)`
    const limited = ['-c', 'ulimit -f 8; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', program, path]
    expect(execFileSync('sh', limited, { encoding: 'utf8' })).toBe('EFBIG\n')
  })
})
