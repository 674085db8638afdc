/** A filter over a real store: what is asked of it, what it decides, and what it would send. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { UserId } from '#src/base/ids.ts'
import { configOf } from '#src/config/config.ts'
import type { SharedRoot } from '#src/config/options/shared-folders.ts'
import { type FilterSettings, sieveFilter } from '#src/delivery/filter/filter.ts'
import type { Decision, IncomingMessage, MessageTrack, Recipient, Tracked, Transaction } from '#src/delivery/types.ts'
import { sharingOf } from '#src/sharing/sharing.ts'
import { scriptsOf } from '#src/store/scripts.ts'
import { openStore } from '#src/store/store.ts'
import type { Account, Store } from '#src/store/types.ts'
import type { Outgoing } from '#src/submission/spool.ts'
import { TurnedClock } from '#test/support/turned-clock.ts'
import { rememberingLog } from '../../submission/support.ts'

export const steve = 'steve@example.com' as UserId

export const lunch = `Return-Path: <martin@example.org>
Received: from mx.example.org by mail.example.com
From: Martin M\xc3\xbcller <martin@example.org>
To: steve@example.com
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=
Message-ID: <1@example.org>
References: <0@example.com>

Lunch?
`

export const incoming = (text: string): IncomingMessage => {
  const octets = Buffer.from(text.replace(/\r?\n/g, '\r\n'), 'latin1')
  return {
    sizeOctets: octets.length,
    header: octets.subarray(0, octets.indexOf('\r\n\r\n') + 4),
    read: async (start, end) => octets.subarray(start, end),
    async *stream(start = 0, end = octets.length) {
      yield octets.subarray(start, end)
    },
  }
}

export interface Sent extends Omit<Outgoing, 'octets'> {
  readonly text: string
}

export interface Filtered {
  readonly decision: Decision
  readonly sent: readonly Sent[]
}

export interface Asked {
  readonly message?: string
  readonly sender?: string
  readonly address?: string
  readonly userId?: UserId
}

export interface FilterScene extends AsyncDisposable {
  readonly root: string
  readonly store: Store
  readonly account: Account
  readonly clock: TurnedClock
  readonly log: ReturnType<typeof rememberingLog>
  /** What the filter asks; may be broken. */
  readonly track: MessageTrack
  readonly settings: { -readonly [name in keyof FilterSettings]: FilterSettings[name] }
  script(text: string, userId?: UserId): Promise<void>
  /** Decides, and does what follows from it but for storing the message. */
  filter(asked?: Asked): Promise<Filtered>
}

export async function filterScene(more: { readonly sharedRoots?: readonly SharedRoot[] } = {}): Promise<FilterScene> {
  const root = await mkdtemp(join(tmpdir(), 'filter-'))
  const clock = new TurnedClock()
  const log = rememberingLog()
  const store = openStore({ root: join(root, 'user'), clock, log })
  const account = store.account(steve)
  await account.ensure()
  const sharing = sharingOf(configOf({ shared_root_dir: join(root, 'shared'), shared_root: more.sharedRoots ?? [] }))
  const settings: FilterScene['settings'] = {
    enabled: true,
    globalScript: undefined,
    maxRedirects: 5,
    redirect: { mode: 3, sender: undefined, domain: 'example.com' },
    annotations: new Map([['/shared/comment', 'hello']]),
  }
  const sent: Sent[] = []
  const track = trackInMemory(clock)
  const filter = sieveFilter({
    store,
    track,
    clock,
    log,
    hostName: 'mail.example.com',
    outbox: {
      add: async (messages) => {
        for (const { octets, ...envelope } of messages) {
          const pieces: Uint8Array[] = []
          for await (const piece of Buffer.isBuffer(octets) ? [octets] : octets) pieces.push(piece)
          sent.push({ ...envelope, text: Buffer.concat(pieces).toString('latin1') })
        }
      },
    },
    settings: () => settings,
    sharing: () => sharing,
    addressesOf: async () => ['stefan@example.com'],
    groupsOf: (address) => new Set(address === 'martin@example.org' ? ['friends'] : []),
  })
  return {
    root,
    store,
    account,
    clock,
    log,
    track,
    settings,
    async script(text, userId = steve) {
      const owner = store.account(userId)
      await owner.ensure()
      await scriptsOf(owner).put('main', text, { scripts: 5, octets: 32_768 })
      await scriptsOf(owner).activate('main')
    },
    async filter({ message = lunch, sender = 'martin@example.org', address = steve, userId = steve } = {}) {
      const recipient: Recipient = {
        address,
        parameters: new Map(),
        detail: undefined,
        userId,
        account: store.account(userId),
        mailbox: 'INBOX',
        adding: (_, work) => work(),
      }
      const transaction: Transaction = {
        id: 'x1',
        sender,
        parameters: new Map(),
        trace: { helo: 'mx.example.org', address: '192.0.2.1', name: undefined, type: 'LMTP', tls: undefined },
        receivedAt: Math.floor(clock.now() / 1_000),
        recipients: [recipient],
      }
      const decision = await filter(transaction, recipient, incoming(message))
      sent.length = 0
      await decision.perform?.()
      const ofThis = sent.splice(0)
      await track.add(decision.tracked ?? [])
      decision.end?.()
      return { decision, sent: ofThis }
    },
    [Symbol.asyncDispose]: async () => {
      await store.close()
      await rm(root, { recursive: true, force: true })
    },
  }
}

function trackInMemory(clock: TurnedClock): MessageTrack {
  const known = new Map<string, { readonly at: number; readonly until: number }>()
  const now = () => Math.floor(clock.now() / 1_000)
  return {
    find: async (kind, owner, key) => {
      const found = known.get(JSON.stringify([kind, owner, key]))
      return found !== undefined && found.until > now() ? found.at : undefined
    },
    add: async (tracked: readonly Tracked[]) => {
      for (const { kind, owner, key, seconds = 7 * 86_400 } of tracked)
        known.set(JSON.stringify([kind, owner, key]), { at: now(), until: now() + seconds })
    },
    async *list() {},
    close: async () => {},
  }
}
