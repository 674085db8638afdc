import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MemoryDisk } from './disk.ts'
import { deliver, deliverAll, storeIn, uids, user } from './support.ts'
import { type Actor, expungeNoted, inInbox, interleave, Ledger, noteDelivered, type Work } from './world.ts'

/** An account whose INBOX holds two messages, after `tail` commits. */
async function preparedDisk(tail = 0): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  await using store = storeIn('/s', { fs: disk.fs() })
  const account = store.account(user)
  await account.ensure()
  const inbox = await account.open('INBOX')
  await deliverAll(inbox, [{ text: 'm1', origin: 'o-m1' }, { text: 'm2' }])
  for (let at: number = inbox.highestModSeq; at < tail; at += 1)
    await inbox.changeFlags({ uids: uids(1), mode: at % 2 === 0 ? 'add' : 'remove', flags: ['\\Flagged'] })
  return disk
}

const delivery = (text: string, origin?: string): Work =>
  inInbox(async (inbox, actor) => {
    noteDelivered(actor, inbox, await deliver(inbox, text, origin === undefined ? {} : { origin }), text, origin)
  })
const expunge = (...values: number[]) => inInbox((inbox, actor) => expungeNoted(actor, inbox, uids(...values)))
const flag = (value: number, name: string) =>
  inInbox(async (inbox) => void (await inbox.changeFlags({ uids: uids(value), mode: 'add', flags: [name] })))

/** Every schedule of choices, depth first. */
async function everySchedule(run: (choose: (options: number) => number) => Promise<void>, limit: number) {
  let path: { taken: number; options: number }[] = []
  let count = 0
  for (;;) {
    let at = 0
    await run((options) => {
      if (at === path.length) path.push({ taken: 0, options })
      const { taken } = path[at]!
      at += 1
      return taken
    })
    count += 1
    if (count > limit) throw new Error(`more than ${limit} schedules`)
    path = path.slice(0, at)
    while (path.length > 0 && path.at(-1)!.taken + 1 === path.at(-1)!.options) path.pop()
    if (path.length === 0) return count
    path[path.length - 1] = { ...path.at(-1)!, taken: path.at(-1)!.taken + 1 }
  }
}

describe('two processes on one mailbox, every schedule', () => {
  const pairs: Record<string, readonly [Work, Work]> = {
    'deliver and deliver': [delivery('a'), delivery('b')],
    'deliver the same origin (exactly once)': [delivery('same', 'o-1'), delivery('same', 'o-1')],
    'deliver and expunge': [delivery('a'), expunge(1, 2)],
    'expunge the same': [expunge(1, 2), expunge(2)],
    'flags and expunge': [flag(1, '\\Seen'), expunge(1)],
  }
  for (const [name, works] of Object.entries(pairs))
    it(name, async () => {
      const disk = await preparedDisk()
      const schedules = await everySchedule(async (choose) => {
        const copy = disk.clone()
        const ledger = new Ledger()
        await interleave(copy, works, ledger, choose)
        expect(await ledger.check(copy)).toEqual([])
      }, 20_000)
      expect(schedules).toBeGreaterThan(1)
    })

  it('conditional flag changes: only one can have seen the message unchanged', async () => {
    const disk = await preparedDisk()
    await everySchedule(async (choose) => {
      const left: string[] = []
      const conditional = (flag: string) =>
        inInbox(async (inbox) => {
          const unchangedSince = inbox.messages.at(0)!.modSeq
          const { modified } = await inbox.changeFlags({ uids: uids(1), mode: 'add', flags: [flag], unchangedSince })
          if (modified.length === 0) left.push(flag)
        })
      const copy = disk.clone()
      await interleave(copy, [conditional('mine'), conditional('yours')], new Ledger(), choose)
      await using store = storeIn('/s', { fs: copy.fs() })
      const inbox = await store.account(user).open('INBOX')
      expect(left.length).toBe(1)
      expect([...inbox.messages.at(0)!.flags]).toEqual(left)
    }, 20_000)
  })

  it('a conditional change leaves out exactly what another one changed first', async () => {
    const disk = await preparedDisk()
    await everySchedule(async (choose) => {
      let modified: readonly number[] = []
      const conditional = inInbox(async (inbox) => {
        const unchangedSince = inbox.highestModSeq
        modified = (await inbox.changeFlags({ uids: uids(1, 2), mode: 'set', flags: ['mine'], unchangedSince }))
          .modified
      })
      const copy = disk.clone()
      await interleave(copy, [conditional, flag(1, 'yours')], new Ledger(), choose)
      await using store = storeIn('/s', { fs: copy.fs() })
      const { messages } = await store.account(user).open('INBOX')
      const flags = Array.from(messages, (message) => [...message.flags].sort())
      expect(
        [
          [['mine', 'yours'], ['mine']],
          [['yours'], ['mine']],
        ][modified.length],
      ).toEqual(flags)
    }, 20_000)
  })

  it('\\Recent goes to exactly one', async () => {
    const disk = await preparedDisk()
    await everySchedule(async (choose) => {
      const claims: string[] = []
      const claim = inInbox(async (inbox) => {
        const { after, upTo } = await inbox.claimRecent()
        if (upTo > after) claims.push(`${after}-${upTo}`)
      })
      await interleave(disk.clone(), [claim, claim], new Ledger(), choose)
      expect(claims).toEqual(['0-2'])
    }, 20_000)
  })
})

describe('two and three processes, random schedules', () => {
  const mixed = (plan: readonly number[]): Work =>
    inInbox(async (inbox, actor: Actor) => {
      for (const step of plan) {
        const target = inbox.messages.at(step % Math.max(1, inbox.messages.length))
        if (step % 4 === 0) await expungeNoted(actor, inbox, target === undefined ? [] : [target.uid])
        else if (step % 4 === 1)
          await inbox.changeFlags({ uids: target === undefined ? [] : [target.uid], mode: 'add', flags: [`k${step}`] })
        else {
          const origin = step % 4 === 2 ? `o-${step % 5}` : undefined
          const text = origin ?? `${actor.name} ${step}`
          noteDelivered(actor, inbox, await deliver(inbox, text, origin === undefined ? {} : { origin }), text, origin)
        }
        await actor.ledger.look(inbox)
      }
    })
  const plans = fc.array(fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 3 })

  it('keep the invariants', async () => {
    const disk = await preparedDisk()
    await fc.assert(
      fc.asyncProperty(plans, fc.array(fc.nat(5), { minLength: 1, maxLength: 60 }), async (given, choices) => {
        const copy = disk.clone()
        const ledger = new Ledger()
        let at = 0
        const choose = (options: number) => choices[at++ % choices.length]! % options
        await interleave(copy, given.map(mixed), ledger, choose, {
          store: { epochEntries: 2 + (choices[0]! % 2) * 254 },
        })
        expect(await ledger.check(copy)).toEqual([])
      }),
      { numRuns: 150 },
    )
  })

  it('go over the end of an epoch together', async () => {
    const disk = await preparedDisk(60)
    const twice = inInbox(async (inbox, actor) => {
      for (const text of ['a', 'b']) {
        const own = `${actor.name} ${text}`
        noteDelivered(actor, inbox, await deliver(inbox, own), own)
      }
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(5), { minLength: 20, maxLength: 60 }), async (choices) => {
        const copy = disk.clone()
        const ledger = new Ledger()
        let at = 0
        await interleave(
          copy,
          [twice, expunge(1), twice],
          ledger,
          (options) => choices[at++ % choices.length]! % options,
          { store: { epochEntries: 40 } },
        )
        expect(await ledger.check(copy)).toEqual([])
        const epochs = new Set(copy.files().flatMap((path) => /INBOX\/log\/([0-9]+)/.exec(path)?.[1] ?? []))
        expect(epochs.size).toBe(2)
      }),
      { numRuns: 300 },
    )
  })

  for (const [where, tail, store] of [
    ['', 0, {}],
    [', near the end of an epoch', 60, { epochEntries: 40 }],
    [', over many epochs', 0, { epochEntries: 2 }],
  ] as const)
    it(`keep them over a crash or power cut at any call${where}`, async () => {
      const disk = await preparedDisk(tail)
      await fc.assert(
        fc.asyncProperty(
          plans,
          fc.array(fc.nat(5), { minLength: 1, maxLength: 60 }),
          fc.nat(150),
          fc.boolean(),
          fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 20 }),
          async (given, choices, calls, power, chances) => {
            const copy = disk.clone()
            const ledger = new Ledger()
            let at = 0
            const choose = (options: number) => choices[at++ % choices.length]! % options
            await interleave(copy, given.map(mixed), ledger, choose, { calls, everyCall: true, store })
            let chance = 0
            if (power) copy.cutPower(() => chances[chance++ % chances.length]!)
            expect(await ledger.check(copy)).toEqual([])
          },
        ),
        { numRuns: 300 },
      )
    })
})
