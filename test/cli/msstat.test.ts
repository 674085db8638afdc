import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { type Clock, systemClock } from '#src/base/clock.ts'
import { connectionLines, duration, eventLine, printable, serviceLines } from '#src/cli/msstat/format.ts'
import { hostNames } from '#src/cli/msstat/host-names.ts'
import { msstat } from '#src/cli/msstat/msstat.ts'
import type { ListedPresence } from '#src/events/wire.ts'
import { bus, hub, socketPath } from '../events/support/buses.ts'

/** The moments of the guide's samples. */
const start = new Date(2010, 3, 23, 12, 54).getTime()
const now = start + (2 * 60 + 52) * 60_000
const service = (name: ListedPresence['service'], host: string): ListedPresence => ({
  service: name,
  host,
  since: start,
})

describe('lines of msstat (cli.md §3)', () => {
  it('shows services (MON-01)', () => {
    expect(serviceLines([service('imap', 'test-rhel5-64')], start + (2 * 60 + 48) * 60_000, false)).toEqual([
      'online ~ imap test-rhel5-64 02:48',
    ])
    expect(serviceLines([service('imap', 'test-rhel5-64'), service('gw', 'test-win2k3-64')], now, true)).toEqual([
      'online ~ imap test-rhel5-64  Fri 23 Apr 12:54(02:52)',
      'online ~ gw   test-win2k3-64 Fri 23 Apr 12:54(02:52)',
    ])
  })

  it('shows connections, the user empty before authentication (MON-02)', () => {
    const joe: ListedPresence = {
      service: 'imap',
      host: 'mail.example.com',
      since: now - (7 * 60 + 16) * 60_000,
      sessionId: '456',
      user: 'joe',
      clientAddress: '192.0.2.1',
      activity: 'idling',
      mailbox: 'INBOX',
    }
    const anybody: ListedPresence = { service: 'pop3', host: 'mail.example.com', since: now, sessionId: '457' }
    const columns = { pretty: false, serverHost: false, clientName: () => 'dhcp-261.example.com' }
    expect(connectionLines([joe, anybody], now, columns)).toEqual([
      'joe imap dhcp-261.example.com idling INBOX 07:16',
      ' pop3 dhcp-261.example.com - 00:00',
    ])
    expect(connectionLines([joe], now, { ...columns, serverHost: true })).toEqual([
      'joe imap dhcp-261.example.com idling INBOX mail.example.com 07:16',
    ])
    expect(connectionLines([joe], now, { ...columns, pretty: true })).toEqual([
      'joe imap dhcp-261.example.com idling INBOX Fri 23 Apr 08:30(07:16)',
    ])
  })

  it('shows events (MON-04)', () => {
    const fields = {
      service: 'imap',
      server_fqdn: 'andrew.example.com',
      session_id: '456',
      client_ip: '127.0.0.1',
      time_stamp: '1176116686.546875',
    }
    expect(eventLine({ topic: 'service:imap', name: 'conn open', fields })).toBe(
      'conn open: service=imap server_fqdn=andrew.example.com session_id=456 client_ip=127.0.0.1 time_stamp=1176116686.546875',
    )
    expect(eventLine({ topic: 't', name: 'mail new', fields: { mailbox: 'a b', empty: '', quoted: 'x"y' } })).toBe(
      'mail new: mailbox="a b" empty="" quoted="x\\"y"',
    )
  })

  it('counts hours on and never backwards', () => {
    expect([duration(0), duration(59_999), duration(100 * 3_600_000), duration(-5)]).toEqual([
      '00:00',
      '00:00',
      '100:00',
      '00:00',
    ])
  })

  it('lets no client write to the terminal (H29)', () => {
    expect(printable('joe\x1b[2J\r\nroot imap')).toBe('joe\\u001b[2J\\u000d\\u000aroot imap')
    expect(eventLine({ topic: 't', name: 'a\nb', fields: { 'k\n': 'v\n' } })).not.toContain('\n')
  })
})

describe('host names (MON-03)', () => {
  it('are asked once for each address; an address without one keeps itself', async () => {
    const name = await hostNames(['127.0.0.1', '127.0.0.1', 'no address'])
    expect(name('no address')).toBe('no address')
    expect(name('127.0.0.1')).toMatch(/^\S+$/)
  })
})

async function run(argv: readonly string[], configured?: { readonly path: string }, clock: Clock = systemClock) {
  const [out, err, interrupt] = [new PassThrough(), new PassThrough(), new AbortController()]
  let [outText, errText] = ['', '']
  out.on('data', (chunk) => {
    outText += chunk
  })
  err.on('data', (chunk) => {
    errText += chunk
  })
  const args = [...argv]
  if (configured) {
    const file = join(dirname(configured.path), 'ms.conf')
    await writeFile(file, `<ms_options><msevent_host>${configured.path}</msevent_host></ms_options>`)
    args.push('-c', file)
  }
  const status = msstat(args, { out, err, clock, interrupted: interrupt.signal })
  return { status, out: () => outText, err: () => errText, interrupt: () => interrupt.abort() }
}

describe('msstat with mseventd', () => {
  it('lists services and the connections of users who match (MON-01, MON-02, MON-03)', async () => {
    const at = await socketPath()
    await hub(at)
    const imapd = bus(at, 'imapd')
    imapd.announce({ service: 'imap' })
    for (const user of ['milk', 'om', 'joe', undefined])
      imapd.announce({ service: 'imap', sessionId: `${user}`, clientAddress: '127.0.0.1', ...(user ? { user } : {}) })
    await imapd.presences()
    const later: Clock = { ...systemClock, now: () => systemClock.now() + 168 * 60_000 }
    const services = await run([], at, later)
    expect([await services.status, services.out()]).toEqual([0, 'online ~ imap mail.example.org 02:48\n'])
    const matching = await run(['-n', '-u', 'm'], at, later)
    expect([await matching.status, matching.out()]).toEqual([
      0,
      'milk imap 127.0.0.1 - 02:48\nom imap 127.0.0.1 - 02:48\n',
    ])
    const exact = await run(['-n', '-d', '-u', '^joe'], at, later)
    expect([await exact.status, exact.out()]).toEqual([0, 'joe imap 127.0.0.1 - mail.example.org 02:48\n'])
    const everybody = await run(['-n', '-u', ''], at, later)
    expect([await everybody.status, everybody.out().split('\n').length]).toEqual([0, 5])
    const json = await run(['--json', '-u', 'joe'], at, later)
    await json.status
    expect(JSON.parse(json.out())).toEqual({
      service: 'imap',
      sessionId: 'joe',
      user: 'joe',
      clientAddress: '127.0.0.1',
      host: 'mail.example.org',
      since: expect.any(Number),
      seconds: expect.closeTo(168 * 60, -1),
    })
  })

  it('follows events until interrupted (MON-04)', async () => {
    const at = await socketPath()
    await hub(at)
    const [imapd, watcher] = [bus(at, 'imapd'), await run(['-f', 'mbox:joe'], at)]
    await vi.waitFor(() => {
      imapd.publish({ topic: 'mbox:joe', name: 'mail new', fields: { uid: 7, time_stamp: '1.000000' } })
      imapd.publish({ topic: 'mbox:ann', name: 'mail new', fields: {} })
      expect(watcher.out()).toContain('mail new: uid=7 time_stamp=1.000000\n')
    })
    expect(new Set(watcher.out().trim().split('\n')).size).toBe(1)
    watcher.interrupt()
    expect(await watcher.status).toBe(0)
  })

  it('raises ms_sync, and says when nobody is there to hear it (EVT-14, GW-06)', async () => {
    const at = await socketPath()
    await hub(at)
    const unheard = await run(['-e', 'ms_sync:joe'], at)
    expect([await unheard.status, unheard.err()]).toEqual([1, expect.stringContaining('no ms_syncd is running')])
    const syncd = bus(at, 'ms_syncd')
    syncd.announce({ service: 'gw' })
    const inForce = Promise.withResolvers<void>()
    const raised: string[] = []
    syncd.subscribe(
      ['ms_sync:'],
      (event) => raised.push(event.topic),
      () => inForce.resolve(),
    )
    await inForce.promise
    const nobody = await run(['-e', 'ms_sync:nosuch@a.example'], at)
    expect([await nobody.status, nobody.err()]).toEqual([
      1,
      'msstat: nobody took the event: nosuch@a.example has no session; others than connected and polled users are synchronised at their next login\n',
    ])
    bus(at, 'imapd').announce({ service: 'imap', sessionId: '1', user: 'joe@a.example' })
    await vi.waitFor(async () => expect(await syncd.presences('joe@a.example')).toHaveLength(1))
    const heard = await run(['-e', 'ms_sync:joe@A.example'], at)
    expect([await heard.status, heard.err()]).toEqual([0, ''])
    await vi.waitFor(() => expect(raised).toContain('ms_sync:joe@a.example'))
  })

  it('lists the backends of users who match, from all pages, with hosts that are held and totals (DEP-07: the tools of the product, there is no SNMP)', async () => {
    const at = await socketPath()
    await hub(at)
    const nowMs = Date.parse('2026-11-22T12:00:00Z')
    const clock: Clock = { ...systemClock, now: () => nowMs }
    const common = { backend: 'pop://pop.example.net:110', mailbox: 'INBOX', failures: 0, sessions: 3 }
    const pages = [
      {
        backends: [
          {
            user: 'joe@a.example',
            ...common,
            state: 'waiting',
            last: nowMs - 70_000,
            next: nowMs + 230_000,
            listed: 12,
            fetched: 3,
            octets: 5_300,
          },
        ],
        next: 1,
        hosts: [
          { host: 'pop.example.net:110', running: 1 },
          { host: 'dead.example.net:110', running: 0, held: 'away', until: nowMs + 900_000 },
        ],
        totals: {
          users: 2,
          backends: 2,
          fetched: 4_003,
          octets: 80_000_000,
          states: { waiting: 1, syncing: 1 },
          running: 1,
          waiting: 0,
        },
      },
      {
        backends: [
          {
            user: 'joan@a.example',
            ...common,
            state: 'syncing',
            since: nowMs - 600_000,
            left: 6_000,
            eta: nowMs + 900_000,
            listed: 0,
            fetched: 4_000,
            octets: 80_000_000,
            reason: 'the backend \u001b closed the connection',
          },
        ],
      },
    ]
    const syncd = bus(at, 'ms_syncd')
    syncd.serve('ms_sync', async (request) => pages[(request as { readonly from: number }).from]!)
    await syncd.presences()
    const table = await run(['-b', '^jo'], at, clock)
    expect([await table.status, table.out()]).toEqual([
      0,
      [
        'user           backend                   mailbox state       last next messages fetched octets reason',
        'joe@a.example  pop://pop.example.net:110 INBOX   waiting     70s  4m   12       3       5.2K',
        'joan@a.example pop://pop.example.net:110 INBOX   syncing 10m -    -    0        4000    76M    6000 to come, about 15m more; the backend \\u001b closed the connection',
        'dead.example.net:110: away, because it could not be reached, for 15m more',
        '2 users, 2 backends: 1 waiting, 1 syncing; 1 sessions run, 0 wait; 4003 messages, 76M fetched',
        '',
      ].join('\n'),
    ])
    const json = await run(['--json', '-b', 'joan'], at, clock)
    await json.status
    const lines = json
      .out()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toEqual([pages[1]!.backends[0], ...pages[0]!.hosts!, { totals: pages[0]!.totals }])
  })

  it('says when no ms_syncd answers about backends', async () => {
    const at = await socketPath()
    await hub(at)
    const none = await run(['-b', '.'], at)
    expect(await none.status).toBe(1)
    expect(none.err()).not.toBe('')
  })

  it('names the address when mseventd can not be reached', async () => {
    const at = await socketPath()
    const { status, err } = await run([], at)
    expect(await status).toBe(1)
    expect(err()).toMatch(new RegExp(`mseventd at ${at.path} can't be reached .*ENOENT.*msevent_host in .*ms.conf`))
  })

  it.each([
    [['-x'], 64, /Unknown option/],
    [['extra'], 64, /Unexpected argument/],
    [['-u', '('], 64, /-u: Invalid regular expression/],
    [['-e', 'shutdown'], 64, /ms_sync:USER/],
    [['-f', 'a', '-u', 'b'], 64, /can't be used together/],
    [['-c', '/nonexistent/ms.conf'], 78, /nonexistent/],
  ])('refuses %j with status %i', async (argv, expected, reason) => {
    const { status, err } = await run(argv)
    expect(await status).toBe(expected)
    expect(err()).toMatch(reason)
  })

  it.each(['--help', 'help'])('explains itself: %s', async (word) => {
    const { status, out } = await run([word])
    expect(await status).toBe(0)
    expect(out()).toContain('msstat -e ms_sync:joe@example.org')
  })
})
