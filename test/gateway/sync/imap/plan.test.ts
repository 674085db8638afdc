import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Uid } from '#src/base/ids.ts'
import type { ExpungeCause, Flag } from '#src/store/types.ts'
import { type MailboxInput, type MailboxPlan, planMailbox, type Suspicion } from '../../../../gateway/sync/imap/plan.ts'

const uid = (value: number) => value as Uid
const set = (...flags: Flag[]) => new Set(flags)

const input = (
  over: Partial<Omit<MailboxInput, 'there'>> & { there?: Partial<MailboxInput['there']> },
): MailboxInput => {
  const { there, ...rest } = over
  return {
    here: new Map(),
    departed: new Map(),
    own: [],
    suspicion: undefined,
    policy: { fetchLastN: 0, deletionsPerPass: 1000 },
    now: 1_800_000_000,
    ...rest,
    there: {
      flags: new Map(),
      vanished: [],
      complete: true,
      exists: 100,
      permanent: undefined,
      readOnly: false,
      ...there,
    },
  }
}

const here = (count: number, changed = false) =>
  new Map(
    Array.from(
      { length: count },
      (_, index) => [uid(index + 1), { uid: uid(100 + index), flags: set(), changed }] as const,
    ),
  )
const firstUids = (count: number) => Array.from({ length: count }, (_, index) => uid(index + 1))

describe('the plan for a mailbox of an IMAP backend', () => {
  it('fetches what is new, and gives what is new here', () => {
    const plan = planMailbox(
      input({
        there: {
          flags: new Map([
            [uid(3), set()],
            [uid(2), set()],
          ]),
        },
        own: [uid(7)],
      }),
    )
    expect(plan).toMatchObject({ fetch: [2, 3], upload: [7] })
  })

  it('lets the flags win that were changed here, and else those of the backend', () => {
    const there = { flags: new Map([[uid(1), set('\\Flagged')]]) }
    const changed = new Map([[uid(1), { uid: uid(101), flags: set('\\Seen'), changed: true }]])
    expect(planMailbox(input({ here: changed, there })).flagsThere).toEqual([
      { uid: 1, add: ['\\Seen'], remove: ['\\Flagged'] },
    ])
    expect(planMailbox(input({ here: here(1), there })).flagsHere).toEqual([{ uid: 100, flags: ['\\Flagged'] }])
  })

  it('tells a change here of a message that the backend does not mention', () => {
    expect(planMailbox(input({ here: here(1, true) })).flagsThere).toEqual([{ uid: 1, set: [] }])
  })

  it('keeps keywords that the backend can not keep', () => {
    const message = { uid: uid(101), flags: set('\\Seen', '$Work'), changed: false }
    const there = { flags: new Map([[uid(1), set('\\Seen')]]), permanent: set('\\Seen') }
    expect(planMailbox(input({ here: new Map([[uid(1), message]]), there })).flagsHere).toEqual([])
    const changed = new Map([[uid(1), { ...message, changed: true }]])
    expect(planMailbox(input({ here: changed, there })).flagsThere).toEqual([])
  })

  it('deletes there what a client deleted here, and nothing that left for another reason', () => {
    const departed = new Map<Uid, ExpungeCause>([
      [uid(1), 'client'],
      [uid(2), 'window'],
      [uid(3), 'backend'],
    ])
    expect(planMailbox(input({ departed })).deleteThere).toEqual([1])
    expect(planMailbox(input({ departed, there: { readOnly: true } })).deleteThere).toEqual([])
  })

  it('keeps the newest N (GW-20) and deletes none of the others there (GW-21)', () => {
    const plan = planMailbox(
      input({
        here: here(3),
        there: { flags: new Map([[uid(4), set()]]) },
        policy: { fetchLastN: 2, deletionsPerPass: 9 },
      }),
    )
    expect(plan).toMatchObject({ fetch: [4], pushOut: [100, 101], deleteThere: [] })
  })

  describe('what disappears there', () => {
    it('goes here', () => {
      expect(planMailbox(input({ here: here(5), there: { vanished: [uid(2)] } })).expungeHere).toEqual([101])
    })

    it('is kept when the answer was incomplete, or nothing is left', () => {
      for (const there of [{ complete: false }, { exists: 0 }])
        expect(planMailbox(input({ here: here(5), there: { vanished: firstUids(5), ...there } }))).toMatchObject({
          expungeHere: [],
          held: 5,
        })
    })

    it('is kept when it is most of the mailbox, until it stays away for three passes and a day', () => {
      let suspicion: Suspicion | undefined
      const passes = [0, 3600, 86_400].map((after) => {
        const plan = planMailbox(
          input({ here: here(30), there: { vanished: firstUids(20) }, suspicion, now: 1_800_000_000 + after }),
        )
        suspicion = plan.suspicion
        return plan.expungeHere.length
      })
      expect(passes).toEqual([0, 0, 20])
    })
  })
})

/** Both sides in memory, and passes between them. */
class World {
  readonly there = new Map<Uid, { text: string; flags: Set<Flag>; changedAt: number }>()
  readonly here = new Map<Uid, { text: string; flags: Set<Flag>; changed: boolean; from: Uid | undefined }>()
  departed = new Map<Uid, ExpungeCause>()
  private nextThere = 1
  private nextHere = 1
  private now = 1_800_000_000
  private clock = 0
  private passedAt = 0
  private readonly known = new Set<Uid>()
  private suspicion: Suspicion | undefined

  arrive(text: string): void {
    this.there.set(uid(this.nextThere++), { text, flags: new Set(), changedAt: ++this.clock })
  }
  put(text: string): void {
    this.here.set(uid(this.nextHere++), { text, flags: new Set(), changed: false, from: undefined })
  }
  flagThere(at: number, flag: Flag): void {
    const message = [...this.there.values()][at % Math.max(1, this.there.size)]
    if (message === undefined) return
    toggle(message.flags, flag)
    message.changedAt = ++this.clock
  }
  flagHere(at: number, flag: Flag): void {
    const message = [...this.here.values()][at % Math.max(1, this.here.size)]
    if (message === undefined) return
    toggle(message.flags, flag)
    message.changed = true
  }
  removeThere(at: number): string | undefined {
    const [key, message] = [...this.there][at % Math.max(1, this.there.size)] ?? []
    if (key !== undefined) this.there.delete(key)
    return message?.text
  }
  removeHere(at: number): string | undefined {
    const [key, message] = [...this.here][at % Math.max(1, this.here.size)] ?? []
    if (key === undefined) return undefined
    this.expunge(key, 'client')
    return message!.text
  }

  /** `stopAfter` operations: as if the process had been killed there. */
  pass(delta: boolean, stopAfter: number): void {
    const plan = planMailbox({
      here: new Map(
        [...this.here].flatMap(([key, { flags, changed, from }]) =>
          from === undefined ? [] : [[from, { uid: key, flags, changed }]],
        ),
      ),
      departed: this.departed,
      own: [...this.here].flatMap(([key, { from }]) => (from === undefined ? [key] : [])),
      there: {
        flags: new Map(
          [...this.there].flatMap(([key, { flags, changedAt }]) =>
            delta && changedAt <= this.passedAt ? [] : [[key, flags]],
          ),
        ),
        vanished: [...this.known].filter((key) => !this.there.has(key)),
        complete: true,
        exists: this.there.size,
        permanent: undefined,
        readOnly: false,
      },
      suspicion: this.suspicion,
      policy: { fetchLastN: 0, deletionsPerPass: 1000 },
      now: this.now,
    })
    // Half a day later: what stays away is believed in the end.
    this.now += 43_200
    const at = this.clock
    const steps = this.stepsOf(plan)
    for (const step of steps.slice(0, stopAfter)) step()
    // Only a pass that came to its end moves the point from which the next one asks.
    if (stopAfter < steps.length) return
    this.passedAt = at
    this.suspicion = plan.suspicion
    for (const message of this.here.values()) message.changed = false
  }

  private stepsOf(plan: MailboxPlan): (() => void)[] {
    return [
      ...plan.fetch.map((key) => () => {
        const message = this.there.get(key)!
        this.here.set(uid(this.nextHere++), {
          text: message.text,
          flags: new Set(message.flags),
          changed: false,
          from: key,
        })
        this.departed.delete(key)
        this.known.add(key)
      }),
      ...plan.expungeHere.map((key) => () => this.expunge(key, 'backend')),
      ...plan.flagsHere.map(({ uid: key, flags }) => () => {
        this.here.get(key)!.flags = new Set(flags)
      }),
      ...plan.flagsThere.map((change) => () => {
        const message = this.there.get(change.uid)!
        if ('set' in change) message.flags = new Set(change.set)
        else {
          for (const flag of change.add) message.flags.add(flag)
          for (const flag of change.remove) message.flags.delete(flag)
        }
        message.changedAt = ++this.clock
      }),
      ...plan.deleteThere.map((key) => () => void this.there.delete(key)),
      ...plan.upload.map((key) => () => {
        const message = this.here.get(key)!
        const made = uid(this.nextThere++)
        this.there.set(made, { text: message.text, flags: new Set(message.flags), changedAt: ++this.clock })
        message.from = made
        this.known.add(made)
      }),
      ...plan.forget.map((key) => () => {
        this.departed.delete(key)
        this.known.delete(key)
      }),
    ]
  }

  private expunge(key: Uid, cause: ExpungeCause): void {
    const { from } = this.here.get(key)!
    this.here.delete(key)
    if (from !== undefined) this.departed.set(from, cause)
  }

  sides(): [string[], string[]] {
    const list = (messages: Iterable<{ text: string; flags: Set<Flag> }>) =>
      Array.from(messages, ({ text, flags }) => `${text} ${[...flags].sort().join(' ')}`).sort()
    return [list(this.here.values()), list(this.there.values())]
  }
}

function toggle(flags: Set<Flag>, flag: Flag): void {
  if (!flags.delete(flag)) flags.add(flag)
}

describe('passes between two sides that both change', () => {
  it('end with both equal: nothing lost, nothing doubled, whatever was cut short', () => {
    const change = fc.tuple(
      fc.constantFrom('arrive', 'put', 'flagThere', 'flagHere', 'removeThere', 'removeHere', 'pass', 'cut'),
      fc.nat(20),
    )
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), fc.boolean(), (changes, delta) => {
        const world = new World()
        const texts = new Set<string>()
        let made = 0
        for (const [what, at] of changes) {
          const text = `message ${made++}`
          if (what === 'arrive' || what === 'put') {
            world[what](text)
            texts.add(text)
          } else if (what === 'flagThere' || what === 'flagHere')
            world[what](at, ['\\Seen', '\\Flagged', '$Work'][at % 3]!)
          else if (what === 'pass') world.pass(delta, Number.POSITIVE_INFINITY)
          else if (what === 'cut') world.pass(delta, at % 4)
          else {
            const removed = world[what](at)
            if (removed !== undefined) texts.delete(removed)
          }
        }
        for (let pass = 0; pass < 5; pass += 1) world.pass(delta, Number.POSITIVE_INFINITY)
        const [hereNow, thereNow] = world.sides()
        expect(hereNow).toEqual(thereNow)
        expect(hereNow.map((line) => /^message [0-9]+/.exec(line)![0]).sort()).toEqual([...texts].sort())
      }),
      { numRuns: 2000 },
    )
  })
})
