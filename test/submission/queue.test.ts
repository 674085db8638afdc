import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { StoreError } from '#src/base/errors.ts'
import { claimMs } from '#src/submission/spool.ts'
import { startExim } from '#test/support/exim.ts'
import { scriptedSmtp } from '#test/support/smtp-script.ts'
import { message, submissionTo, testSpool } from './support.ts'

const subjects = (messages: readonly string[]) => messages.map((text) => /^Subject: (.*)\r?$/m.exec(text)?.[1]).sort()
const isEmpty = async (directory: string) => expect(await readdir(directory)).toEqual([])

describe('SV-06: mail that this site sends', () => {
  it('is handed to the submission server as it is, with its own sender, and is gone then', async () => {
    await using server = await scriptedSmtp()
    await using test = await testSpool()
    const queue = test.process(server.port)
    await queue.add([message(1), message(2, { sender: '', recipient: 'müller@example.net' })])
    await vi.waitFor(() => isEmpty(test.directory))
    expect(server.messages.toSorted()).toEqual([
      'From: martin@example.org\r\nSubject: 1\r\n\r\n.gr\xfc\xdfe\r\n',
      'From: martin@example.org\r\nSubject: 2\r\n\r\n.gr\xfc\xdfe\r\n',
    ])
    expect(server.lines).toContain('MAIL FROM:<martin@example.org> BODY=8BITMIME SIZE=48')
    expect(server.lines).toContain('MAIL FROM:<> BODY=8BITMIME SIZE=48')
    expect(server.lines).toContain('RCPT TO:<away@example.net>')
  })

  it('waits longer and longer while it is not taken, and survives the process', async () => {
    await using server = await scriptedSmtp()
    await using test = await testSpool()
    server.on('RCPT', () => '450 4.2.0 later\r\n')
    const first = test.process(server.port)
    await first.add([message(1)])
    const attempts = async (count: number) =>
      vi.waitFor(async () => {
        expect((await test.spool.waiting())[0]).toMatchObject({ attempts: count })
        const [waiting] = await test.spool.waiting()
        expect(waiting!.dueMs - test.clock.now()).toBe(60_000 * 2 ** (count - 1))
      })
    await attempts(1)
    await first.stop(1_000)
    const second = test.process(server.port)
    test.clock.turn(61)
    await attempts(2)
    await using opened = await test.spool.open((await test.spool.waiting())[0]!)
    expect(opened!.entry).toMatchObject({ lastReply: '450 4.2.0 later', recipient: 'away@example.net', attempts: 2 })
    server.on('RCPT', undefined)
    test.clock.turn(121)
    await vi.waitFor(() => isEmpty(test.directory))
    expect(subjects(server.messages)).toEqual(['1'])
    await second.stop(1_000)
  })

  it('is not sent twice by processes that share the directory', async () => {
    await using server = await scriptedSmtp()
    await using test = await testSpool()
    const queues = [test.process(server.port), test.process(server.port), test.process(server.port)]
    const wanted = Array.from({ length: 60 }, (_, n) => String(n))
    await Promise.all(wanted.map((n, index) => queues[index % 3]!.add([message(n)])))
    for (let turn = 0; turn < 3; turn++) test.clock.turn(16)
    await vi.waitFor(() => isEmpty(test.directory), 5_000)
    expect(subjects(server.messages)).toEqual(wanted.toSorted())
  })

  it('of a process that died is sent by another when its claim has lapsed, and not before', async () => {
    await using server = await scriptedSmtp()
    await using test = await testSpool()
    const [waiting] = await test.spool.add([message(1)])
    await test.spool.claim(waiting!)
    test.process(server.port)
    test.clock.turn(claimMs / 1_000 - 1)
    expect(server.messages).toEqual([])
    test.clock.turn(16)
    await vi.waitFor(() => isEmpty(test.directory))
    expect(subjects(server.messages)).toEqual(['1'])
  })

  it('is tried again when the server is away, without counting against it', async () => {
    await using test = await testSpool()
    const dead = await scriptedSmtp()
    await dead[Symbol.asyncDispose]()
    const queue = test.process(dead.port)
    await queue.add([message(1), message(2)])
    await vi.waitFor(() => expect(test.log.records.filter(({ severity }) => severity === 'warning')).toHaveLength(1))
    await vi.waitFor(async () =>
      expect((await test.spool.waiting()).map(({ attempts, dueMs }) => [attempts, dueMs - test.clock.now()])).toEqual([
        [0, 5_000],
        [0, 5_000],
      ]),
    )
    expect(test.log.records.find(({ severity }) => severity === 'warning')!.message).toContain('submit_host')
    await using server = await scriptedSmtp()
    queue.reload(submissionTo(server.port))
    test.clock.turn(16)
    await vi.waitFor(() => isEmpty(test.directory))
    expect(subjects(server.messages)).toEqual(['1', '2'])
  })

  it.each([
    ['the connection ends', undefined],
    ['421', '421 4.3.2 I have to go\r\n'],
  ])('that the server never gets through with waits longer each time, and holds nothing up: %s', async (_, reply) => {
    await using server = await scriptedSmtp()
    await using test = await testSpool()
    server.on('.', ({ message: text, socket }) => {
      if (!text.includes('poison')) return '250 2.0.0 ok\r\n'
      if (reply === undefined) socket.destroy()
      return reply
    })
    await test.spool.add([message('poison')])
    const queue = test.process(server.port)
    const waiting = async (attempts: number) =>
      vi.waitFor(async () =>
        expect((await test.spool.waiting()).map((each) => [each.attempts, each.dueMs - test.clock.now()])).toEqual([
          [attempts, 60_000 * 2 ** (attempts - 1)],
        ]),
      )
    await waiting(1)
    await queue.add([message(1)])
    await vi.waitFor(() => expect(server.messages.join()).toContain('Subject: 1'))
    test.clock.turn(76)
    await waiting(2)
  })

  it('that is refused for good is given up with an error; the sender of a redirected message is told', async () => {
    await using server = await scriptedSmtp()
    await using test = await testSpool()
    server.on('RCPT', ({ line }) => (line.includes('away') ? '550 5.1.1 nobody of that name\r\n' : '250 ok\r\n'))
    const queue = test.process(server.port)
    await queue.add([message('redirected'), message('answer', { kind: 'vacation', sender: '' })])
    await vi.waitFor(() => isEmpty(test.directory))
    const errors = test.log.records.filter(({ severity }) => severity === 'err')
    expect(errors.map(({ fields }) => fields)).toEqual(
      expect.arrayContaining(
        ['redirect', 'vacation'].map((kind) =>
          expect.objectContaining({ kind, reply: '550 5.1.1 nobody of that name' }),
        ),
      ),
    )
    expect(errors).toHaveLength(2)
    const [report, ...more] = server.messages
    expect(more).toEqual([])
    expect(server.lines.at(-1)).toBe('DATA')
    expect(server.lines).toContain('RCPT TO:<martin@example.org>')
    expect(server.lines.findLast((line) => line.startsWith('MAIL'))).toMatch(/^MAIL FROM:<> /)
    expect(report).toContain('To: martin@example.org\r\n')
    expect(report).toContain('Auto-Submitted: auto-replied\r\n')
    expect(report).toMatch(/Content-Type: multipart\/report; report-type=delivery-status;/)
    expect(report).toContain('Final-Recipient: rfc822; away@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n')
    expect(report).toContain(
      'Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nFrom: martin@example.org\r\nSubject: redirected\r\n',
    )
  })

  it('is given up after five days, and nobody is told of a redirected notification that is lost', async () => {
    await using server = await scriptedSmtp()
    await using test = await testSpool()
    server.on('.', () => '451 4.3.0 later\r\n')
    await test.spool.add([message('old', { sender: '' })])
    test.clock.turn(5 * 86_400 + 1)
    test.process(server.port)
    await vi.waitFor(() => isEmpty(test.directory))
    expect(test.log.records).toContainEqual(
      expect.objectContaining({ severity: 'err', fields: expect.objectContaining({ reply: '451 4.3.0 later' }) }),
    )
    expect(server.sessions).toBe(1)
  })

  it('that is damaged is left for the operator and holds nothing up', async () => {
    await using server = await scriptedSmtp()
    await using test = await testSpool()
    await test.spool.add([message(1)])
    const name = '000000000000001.0.abcdefghij'
    await writeFile(join(test.directory, name), 'not ours')
    test.process(server.port)
    await vi.waitFor(async () => expect((await test.spool.waiting()).map(({ id }) => id)).toEqual(['abcdefghij']))
    await vi.waitFor(() => expect(test.log.records).toContainEqual(expect.objectContaining({ severity: 'err' })))
    expect(subjects(server.messages)).toEqual(['1'])
  })

  it('is refused at once when it can not be made durable', async () => {
    await using test = await testSpool()
    await writeFile(test.directory, 'a file in its place')
    const failed = await test.spool.add([message(1)]).catch((error) => error)
    expect(failed).toBeInstanceOf(StoreError)
    expect(failed.kind).toBe('unavailable')
  })
})

describe('C-20: a server that asks who we are', () => {
  it('is told by submit_user and submit_password', async () => {
    await using server = await scriptedSmtp({ extensions: ['AUTH PLAIN', 'PIPELINING'] })
    server.on('AUTH', ({ line }) =>
      line === `AUTH PLAIN ${Buffer.from('\0wherry\0s3cret').toString('base64')}`
        ? '235 2.7.0 ok\r\n'
        : '535 5.7.8 no\r\n',
    )
    const sent = { sender: 'a@example.org', recipient: 'b@example.org', sizeOctets: 4, isEightBit: false }
    const chunks = async function* () {
      yield Buffer.from('x\r\n')
    }
    const right = submissionTo(server.port, { user: 'wherry', password: () => 's3cret' })
    expect(await right.submit({ ...sent, chunks })).toEqual({ kind: 'accepted' })
    right.close()
    const wrong = submissionTo(server.port, { user: 'wherry', password: () => 'other' })
    const failure = await wrong.submit({ ...sent, chunks }).catch((error) => error)
    expect(failure.message).toMatch(/takes no mail now .*535 5\.7\.8 no/)
    expect(failure.message).not.toContain('other')
    expect(server.messages).toHaveLength(1)
  })

  it('is told nothing in clear when it is not this machine', async () => {
    await using server = await scriptedSmtp({ extensions: ['AUTH PLAIN'] })
    // Another name of this machine that does not say so.
    const far = submissionTo(server.port, { user: 'wherry', password: () => 's3cret' }, '0.0.0.0')
    const chunks = async function* () {
      yield Buffer.from('x\r\n')
    }
    const sent = { sender: 'a@example.org', recipient: 'b@example.org', sizeOctets: 3, isEightBit: false, chunks }
    expect((await far.submit(sent).catch((error) => error)).message).toContain('takes no mail now')
    expect(server.lines.filter((line) => !/^(?:EHLO|STARTTLS|QUIT)/.test(line))).toEqual([])
    expect(server.sessions).toBe(1)
  })
})

describe('SV-06: with a real mail server', () => {
  it('nothing is lost when processes are killed in the middle', async () => {
    await using exim = await startExim({ tls: true })
    await using test = await testSpool()
    const wanted = Array.from({ length: 24 }, (_, n) => String(n))
    await test.spool.add(wanted.map((n) => message(n)))
    for (let kill = 0; kill < 2; kill++) {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'sending.ts'), test.directory, String(exim.port)],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      )
      await once(child.stdout, 'data')
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    const before = (await test.spool.waiting()).length
    expect(before).toBeGreaterThan(0)
    test.clock.turn(Math.ceil((Date.now() - test.clock.now()) / 1_000) + claimMs / 1_000 + 1)
    test.process(exim.port)
    await vi.waitFor(() => isEmpty(test.directory), 10_000)
    const delivered = await vi.waitFor(async () => {
      const all = subjects((await exim.delivered()).map((octets) => octets.toString('latin1')))
      expect(new Set(all)).toEqual(new Set(wanted))
      return all
    }, 10_000)
    // Twice only what a killed process had on its way: as many as there are connections, each time.
    expect(delivered.length).toBeLessThanOrEqual(wanted.length + 2 * 8)
  })
})
