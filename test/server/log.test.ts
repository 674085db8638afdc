import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Severity } from '#src/base/log.ts'
import { makeLog } from '#src/server/log/log.ts'
import { jsonLine, type LogRecord, textLine } from '#src/server/log/record.ts'
import { FileTarget, openLogFile } from '#src/server/log/targets.ts'

const record = (more: Partial<LogRecord>): LogRecord => ({
  time: Date.UTC(2026, 10, 22, 3, 18, 0, 123),
  daemon: 'imapd',
  pid: 17,
  label: undefined,
  severity: 'notice',
  message: 'login',
  fields: {},
  ...more,
})

describe('a record', () => {
  it('is a line', () => {
    const fields = { user: 'joe@example.org', tls: true, absent: undefined, port: 993, text: 'two "words"', none: '' }
    expect(textLine(record({ fields }))).toBe(
      '2026-11-22T03:18:00.123Z imapd[17] notice: login user=joe@example.org tls=true port=993 text="two \\"words\\"" none=""\n',
    )
  })

  it('carries the label of its instance (LOG-11)', () => {
    expect(textLine(record({ label: 'east' }))).toContain(' imapd(east)[17] ')
    expect(JSON.parse(jsonLine(record({ label: 'east' }))).label).toBe('east')
  })

  const hostile = [
    'a\r\n2026-11-22T03:18:00.123Z imapd[17] notice: login user=admin',
    '\x1b[2J\x1b[31mred\x07',
    '"} , {"severity":"crit"',
    '%s%n%x',
    'left\u202eright\u2028next\u0085line',
    'a\\nb',
    'x'.repeat(1 << 20),
    '\ud800',
  ]
  it.each(hostile)('stays one printable line, short and readable back, whatever is in it (H29) %#', (text) => {
    for (const line of [
      textLine(record({ message: text, fields: { user: text } })),
      jsonLine(record({ message: text, fields: { user: text } })),
    ]) {
      expect(line.slice(0, -1)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]/)
      expect(line.at(-1)).toBe('\n')
      expect(line.length).toBeLessThan(12_000)
    }
    const parsed = JSON.parse(jsonLine(record({ fields: { user: text } })))
    expect(parsed.fields.user.slice(0, 100)).toBe(text.slice(0, 100))
    // A value can't pass for another field.
    expect(textLine(record({ fields: { user: text } })).match(/ (user|severity|login)=/g)).toHaveLength(
      text.includes('user=') ? 2 : 1,
    )
  })

  it('quotes a value that would look like more of them', () => {
    expect(textLine(record({ fields: { user: 'a b=c', other: 'x\\' } }))).toContain(' user="a b=c" other="x\\\\"\n')
  })
})

describe('a log', () => {
  it('drops what is below its severity (LOG-02)', () => {
    const lines: string[] = []
    const target = { write: (line: string) => lines.push(line) }
    const log = makeLog(
      { daemon: 'imapd', label: undefined, target, format: 'text', least: 'warning' },
      { session: 's1' },
    )
    for (const severity of ['crit', 'err', 'warning', 'notice', 'info', 'debug'] satisfies Severity[])
      log.child({ n: 1 }).log(severity, 'text')
    expect(lines.map((line) => line.replace(/^\S+ /, ''))).toEqual(
      ['crit', 'err', 'warning'].map((severity) => `imapd[${process.pid}] ${severity}: text session=s1 n=1\n`),
    )
  })

  it('loses nothing that was said before the process ends', () => {
    const targets = join(import.meta.dirname, '../../src/server/log/targets.ts')
    const script = `import { stderrTarget } from ${JSON.stringify(targets)}; stderrTarget.write('one\\n'); process.exit(70)`
    const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    expect([stderr, status]).toEqual(['one\n', 70])
  })

  it('writes the lines of one turn of the event loop together, and no more at once than a pipe keeps whole', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'log-'))
    const path = join(directory, 'imapd.log')
    const target = new FileTarget(() => openLogFile(path))
    target.write(`${'1'.repeat(3000)}\n`)
    expect(readFileSync(path, 'utf8')).toBe('')
    target.write(`${'2'.repeat(3000)}\n`)
    expect(readFileSync(path, 'utf8')).toBe(`${'1'.repeat(3000)}\n`)
    await nextTurn()
    expect(readFileSync(path, 'utf8')).toBe(`${'1'.repeat(3000)}\n${'2'.repeat(3000)}\n`)
    rmSync(directory, { recursive: true })
  })

  it('goes on in a new file after rotation', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'log-'))
    const path = join(directory, 'imapd.log')
    const target = new FileTarget(() => openLogFile(path))
    target.write('one\n')
    renameSync(path, `${path}.1`)
    target.write('two\n')
    target.reopen()
    target.write('three\n')
    await nextTurn()
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('one\ntwo\n')
    expect(readFileSync(path, 'utf8')).toBe('three\n')
    rmSync(directory, { recursive: true })
  })
})
