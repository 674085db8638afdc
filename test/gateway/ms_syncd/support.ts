/** A gateway with a clock that tests turn, an event bus in memory, and a real store. */

import { BackendProfiles } from '#gateway/backend/profile.ts'
import type { MigrationAccounts } from '#gateway/ms_syncd/account-maker.ts'
import { Gateway } from '#gateway/ms_syncd/gateway.ts'
import { RemoteError } from '#src/base/errors.ts'
import type { UserId } from '#src/base/ids.ts'
import type { Log, LogFields } from '#src/base/log.ts'
import { type Backend, makeUserDatabase, type UserDatabase } from '#src/config/backends.ts'
import { type ConfigOverrides, configOf } from '#src/config/config.ts'
import { matching } from '#src/events/subscriptions.ts'
import type { EventBus, MailEvent, Presence } from '#src/events/types.ts'
import { TurnedClock } from '#test/support/turned-clock.ts'
import { quick } from '../backend/maildrop.ts'
import { type TestStore, testStore } from '../sync/support.ts'

/** One process's view of an event bus on which everybody else is the test. */
export class TestBus implements EventBus {
  readonly connected = true
  away = false
  sessions: Presence[] = []
  readonly published: MailEvent[] = []
  /** Users whose presences were asked for. */
  readonly asked: (string | null | undefined)[] = []
  readonly #subscribers = new Set<{
    topics: readonly string[]
    onEvent: (event: MailEvent) => void
    onGap: (() => void) | undefined
  }>()
  publish(event: MailEvent): void {
    this.published.push(event)
  }
  subscribe(topics: readonly string[], onEvent: (event: MailEvent) => void, onGap?: () => void): () => void {
    const subscriber = { topics, onEvent, onGap }
    this.#subscribers.add(subscriber)
    return () => this.#subscribers.delete(subscriber)
  }
  /** An event from elsewhere; answers how many heard it. */
  emit(event: MailEvent): number {
    const heard = [...this.#subscribers].filter(({ topics }) =>
      matching(event.topic).some((topic) => topics.includes(topic)),
    )
    for (const { onEvent } of heard) onEvent(event)
    return heard.length
  }
  /** mseventd has been restarted, and this process was the first to be back. */
  restart(): void {
    this.sessions = []
    for (const { onGap } of this.#subscribers) onGap?.()
  }
  announce = () => ({ update: () => {}, withdraw: () => {} })
  async presences(user?: string | null) {
    this.asked.push(user)
    if (this.away) throw new RemoteError('mseventd is away', { retryable: true })
    const asked = this.sessions.filter((presence) => user === undefined || presence.user === user)
    return asked.map((presence) => ({ ...presence, host: 'test', since: 0 }))
  }
  ask(): Promise<never> {
    return Promise.reject(new RemoteError('nobody answers', { retryable: true }))
  }
  serve = () => () => {}
  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

export interface LogLine {
  readonly severity: string
  readonly message: string
  readonly fields: LogFields
}

export const recordingLog = (lines: LogLine[], carried: LogFields = {}): Log => ({
  log: (severity, message, fields = {}) => void lines.push({ severity, message, fields: { ...carried, ...fields } }),
  child: (fields) => recordingLog(lines, { ...carried, ...fields }),
})

export interface Scene extends AsyncDisposable {
  readonly gateway: Gateway
  readonly clock: TurnedClock
  readonly bus: TestBus
  /** Its log. */
  readonly lines: LogLine[]
  readonly log: Log
  readonly test: TestStore
  login(password?: string, user?: string): Promise<void>
  /** Throws when what was due by now has begun a session: none is to run, or to have been asked for. */
  quiet(): Promise<void>
  /** Waits, without moving the clock, until it holds. */
  until(holds: () => boolean | Promise<boolean>): Promise<void>
}

export const anna = 'anna@example.org' as UserId

export const gatewayScene = async (
  port: number,
  overrides: ConfigOverrides = {},
  users: UserDatabase = makeUserDatabase(undefined, []),
  accounts?: MigrationAccounts,
): Promise<Scene> => {
  const clock = new TurnedClock()
  const bus = new TestBus()
  const lines: LogLine[] = []
  const test = await testStore()
  const profiles = new BackendProfiles()
  // Its first account is not the first of the day.
  profiles.of('127.0.0.1', port).learned.nonsenseRefusedAt = Math.floor(clock.now() / 1_000)
  const gateway = new Gateway({
    config: configOf({
      gateway_mode: true,
      ms_syncd_host: '127.0.0.1',
      ms_syncd_port: port,
      suppress_client_tls: true,
      ...overrides,
    }),
    users,
    store: test.store,
    events: bus,
    access: { profiles, limits: quick },
    clock,
    log: recordingLog(lines),
    ...(accounts === undefined ? {} : { accounts }),
  })
  return {
    gateway,
    clock,
    bus,
    lines,
    log: gateway.log,
    test,
    login: async (password = 'pw', user = anna) => {
      await gateway.login(user, anna, Buffer.from(password))
      if (!bus.sessions.some(({ user: known }) => known === anna))
        bus.sessions.push({ service: 'imap', sessionId: '1', user: anna })
    },
    quiet: async () => {
      // Between the clock and the scheduler there are promises only, no input or output.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      if (gateway.scheduler.counts.running + gateway.scheduler.counts.waiting > 0)
        throw new Error('a backend session has begun')
    },
    until: async (holds) => {
      const deadline = performance.now() + 10_000
      while (!(await holds())) {
        if (performance.now() > deadline) throw new Error('it did not come to that')
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    [Symbol.asyncDispose]: async () => {
      await gateway.stop()
      await test[Symbol.asyncDispose]()
    },
  }
}

export type { Backend }
