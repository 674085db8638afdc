import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { nodeFs } from '#src/store/fs.ts'
import { freshRoot } from './support.ts'

describe("the machine's file system", () => {
  it('never takes a short write for a success', () => {
    // A limit on the size of files makes the kernel write 8,192 of 20,000 octets and call that a success.
    const script = `
      const { nodeFs } = await import(${JSON.stringify(`${import.meta.dirname}/../../src/store/fs.ts`)})
      const path = process.argv[1]
      for (const [name, attempt] of Object.entries({
        write: () => nodeFs.write(path + '/a', Buffer.alloc(20000)),
        stream: async () => {
          const file = await nodeFs.create(path + '/b')
          try { await file.write(Buffer.alloc(20000)); await file.finish() } finally { await file.discard() }
        },
      })) await attempt().then(() => console.log(name, 'ok'), (error) => console.log(name, error.code))`
    const limited = ['--fsize=8192', process.execPath, '--input-type=module', '-e', script, freshRoot()]
    const output = execFileSync('prlimit', limited, { encoding: 'utf8' })
    expect(output).toBe('write EFBIG\nstream EFBIG\n')
  })

  it('makes a file once, follows no symbolic link and hangs on no device', async () => {
    const root = freshRoot()
    await nodeFs.write(`${root}/a`, Buffer.from('one'))
    await expect(nodeFs.write(`${root}/a`, Buffer.from('two'))).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(nodeFs.create(`${root}/a`)).rejects.toMatchObject({ code: 'EEXIST' })
    expect(readFileSync(`${root}/a`, 'utf8')).toBe('one')
    writeFileSync(`${root}/secret`, 'secret')
    symlinkSync(`${root}/secret`, `${root}/link`)
    await expect(nodeFs.read(`${root}/link`)).rejects.toMatchObject({ code: 'ELOOP' })
    execFileSync('mkfifo', [`${root}/fifo`])
    await expect(nodeFs.read(`${root}/fifo`)).rejects.toMatchObject({ code: 'EINVAL' })
    mkdirSync(`${root}/full`)
    writeFileSync(`${root}/full/x`, '')
    mkdirSync(`${root}/other`)
    await expect(nodeFs.rename(`${root}/other`, `${root}/full`)).rejects.toMatchObject({
      code: expect.stringMatching(/^(ENOTEMPTY|EEXIST)$/),
    })
  })
})
