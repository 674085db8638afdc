import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { MailboxId } from '#src/base/ids.ts'
import { inTurn, type Rename } from '../../../../gateway/sync/imap/renames.ts'
import {
  type MailboxHere,
  type MailboxThere,
  type Pair,
  planTree,
  type TreeInput,
} from '../../../../gateway/sync/imap/tree.ts'

const there = (path: string, over: Partial<MailboxThere> = {}): MailboxThere => ({
  path,
  delimiter: '/',
  id: `r-${path}`,
  subscribed: false,
  ...over,
})
const here = (name: string, over: Partial<MailboxHere> = {}): MailboxHere => ({
  name,
  id: `l-${name}` as MailboxId,
  hasOwn: false,
  ...over,
})
const pair = (path: string, name = path): Pair => ({
  path,
  idThere: `r-${path}`,
  name,
  idHere: `l-${name}` as MailboxId,
  subscribed: false,
})

const input = (over: Partial<TreeInput>): TreeInput => ({
  there: [there('INBOX')],
  here: [here('INBOX')],
  occupied: new Set(),
  subscribedHere: new Set(),
  pairs: [pair('INBOX')],
  changedThere: new Set(),
  policy: { prefix: '', namespace: '', isOurs: () => true, inboxOnly: false },
  suspicion: undefined,
  now: 1_800_000_000,
  ...over,
})
const inboxAnd = (...names: string[]) => ({
  there: [there('INBOX'), ...names.map((name) => there(name))],
  here: [here('INBOX'), ...names.map((name) => here(name))],
  pairs: [pair('INBOX'), ...names.map((name) => pair(name))],
})

describe('the plan for a tree of mailboxes', () => {
  it('makes on each side what is new on the other', () => {
    const plan = planTree(input({ there: [there('INBOX'), there('Sent')], here: [here('INBOX'), here('Work/2026')] }))
    expect(plan).toMatchObject({ createHere: ['Sent'], createThere: ['Work/2026'] })
  })

  it('leaves the name here where a level has the name that it was given there', () => {
    const both = inboxAnd('b', 'a/x')
    const renamed = { ...there('a'), id: 'r-b' }
    const plan = planTree(input({ ...both, there: [there('INBOX'), renamed, there('a/x')] }))
    expect(plan).toMatchObject({ renameHere: [], createHere: [], createThere: [], removeHere: [] })
    expect(plan.paired).toContainEqual({ path: 'a', name: 'b' })
  })

  it('makes one of two that are there under the same name already', () => {
    const plan = planTree(input({ there: [there('INBOX'), there('Sent')], here: [here('INBOX'), here('Sent')] }))
    expect(plan).toMatchObject({ createHere: [], createThere: [] })
    expect(plan.paired).toContainEqual({ path: 'Sent', name: 'Sent' })
  })

  it('carries a rename over, with what is below', () => {
    const before = inboxAnd('a', 'a/b')
    const renamedHere = [
      here('INBOX'),
      here('z', { id: 'l-a' as MailboxId }),
      here('z/b', { id: 'l-a/b' as MailboxId }),
    ]
    expect(planTree(input({ ...before, here: renamedHere }))).toMatchObject({
      renameThere: [{ from: 'a', to: 'z' }],
      renameHere: [],
      createHere: [],
      createThere: [],
    })
    const renamedThere = [there('INBOX'), there('z', { id: 'r-a' }), there('z/b', { id: 'r-a/b' })]
    expect(planTree(input({ ...before, there: renamedThere }))).toMatchObject({
      renameHere: [{ from: 'a', to: 'z' }],
      renameThere: [],
      createHere: [],
      createThere: [],
    })
    expect(
      planTree(
        input({
          ...before,
          here: renamedHere,
          there: [there('INBOX'), there('y', { id: 'r-a' }), there('y/b', { id: 'r-a/b' })],
        }),
      ),
    ).toMatchObject({
      renameHere: [{ from: 'z', to: 'y' }],
      renameThere: [],
    })
  })

  it('renames what is below a renamed one by the name that it has then', () => {
    const before = inboxAnd('a', 'a/b', 'a/c')
    const renamed = [there('INBOX'), there('z', { id: 'r-a' }), there('z/d', { id: 'r-a/b' })]
    const removed = [here('INBOX'), here('a'), here('a/b')]
    const plan = planTree(input({ ...before, there: [...renamed, there('z/c', { id: 'r-a/c' })], here: removed }))
    expect(plan).toMatchObject({ createHere: [], createThere: [], removeThere: ['z/c'] })
    expect(inTurn(plan.renameHere, '/')).toEqual([
      { from: 'a', to: 'z' },
      { from: 'z/b', to: 'z/d' },
    ])
  })

  it('removes what moved along with a mailbox above it by the name that it has then', () => {
    const before = inboxAnd('a', 'a/b')
    const plan = planTree(input({ ...before, here: [here('INBOX'), here('z', { id: 'l-a' as MailboxId })] }))
    expect(plan).toMatchObject({ renameThere: [{ from: 'a', to: 'z' }], removeThere: ['z/b'], createHere: [] })
  })

  it('renames one to the name that another one has left', () => {
    const before = inboxAnd('a', 'b')
    const renamed = [here('INBOX'), here('b', { id: 'l-a' as MailboxId }), here('c', { id: 'l-b' as MailboxId })]
    expect(planTree(input({ ...before, here: renamed })).renameThere).toEqual([
      { from: 'b', to: 'c' },
      { from: 'a', to: 'b' },
    ])
  })

  it('gives no two the same name where one waits for another name in vain', () => {
    const before = inboxAnd('b')
    const plan = planTree(
      input({
        ...before,
        there: [there('INBOX'), there('a', { id: 'r-b' }), there('b', { id: 'r-new' })],
        here: [...before.here, here('a/x')],
      }),
    )
    expect(plan.paired).toContainEqual({ path: 'a', name: 'b' })
    expect(plan.paired.find(({ path }) => path === 'b')?.name).toMatch(/^b \([0-9a-f]{8}\)$/)
  })

  it('asks for no rename to a place below itself', () => {
    const both = inboxAnd('c')
    const renamed = here('c/x', { id: 'l-c' as MailboxId })
    const plan = planTree(input({ ...both, here: [here('INBOX'), renamed] }))
    expect(plan).toMatchObject({ renameThere: [], renameHere: [], createHere: [], createThere: [] })
    expect(plan.paired).toContainEqual({ path: 'c', name: 'c/x' })
    const otherWay = planTree(input({ ...both, there: [there('INBOX'), there('c/x', { id: 'r-c' })] }))
    expect(otherWay).toMatchObject({ renameThere: [], renameHere: [], createHere: [], createThere: [] })
    expect(otherWay.paired).toContainEqual({ path: 'c/x', name: 'c' })
  })

  it('removes on one side what was removed on the other', () => {
    const before = inboxAnd('a')
    expect(planTree(input({ ...before, here: [here('INBOX')] }))).toMatchObject({ removeThere: ['a'], createHere: [] })
    expect(planTree(input({ ...before, there: [there('INBOX')] }))).toMatchObject({
      removeHere: ['a'],
      createThere: [],
    })
  })

  it('removes nothing that the other side never saw', () => {
    const before = inboxAnd('a')
    expect(planTree(input({ ...before, here: [here('INBOX')], changedThere: new Set(['a']) }))).toMatchObject({
      removeThere: [],
      createHere: ['a'],
    })
    const own = [here('INBOX'), here('a', { hasOwn: true })]
    expect(planTree(input({ ...before, there: [there('INBOX')], here: own }))).toMatchObject({
      removeHere: [],
      createThere: ['a'],
    })
  })

  it('removes neither one that was made there in the place of another, nor one that was made here so', () => {
    const before = inboxAnd('a')
    const again = [there('INBOX'), there('a', { id: 'r-new' })]
    expect(planTree(input({ ...before, there: again }))).toMatchObject({ removeHere: [], createHere: [], leaving: [] })
    const againHere = [here('INBOX'), here('a', { id: 'l-new' as MailboxId })]
    const waits = planTree(input({ ...before, here: againHere }))
    expect(waits).toMatchObject({ removeThere: ['a'], createThere: [] })
    expect(waits.paired).toEqual([{ path: 'INBOX', name: 'INBOX' }])
  })

  it('believes no listing that is empty, or has lost most of it, until it stays so (B7)', () => {
    const before = inboxAnd('a', 'b', 'c', 'd', 'e')
    expect(planTree(input({ ...before, there: [] }))).toMatchObject({ removeHere: [], held: 6 })
    expect(planTree(input({ ...before, there: [there('INBOX')] }))).toMatchObject({
      removeHere: [],
      createThere: [],
      held: 5,
    })
    const suspicion = { since: 1_800_000_000 - 86_400, passes: 2 }
    expect(planTree(input({ ...before, there: [there('INBOX')], suspicion })).removeHere).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
    ])
  })

  it('with sync_inbox_only looks at nothing else (GW-22)', () => {
    const plan = planTree(
      input({
        ...inboxAnd('a'),
        there: [there('INBOX'), there('x')],
        here: [here('INBOX'), here('a'), here('y')],
        pairs: [pair('INBOX')],
        policy: { prefix: '', namespace: '', isOurs: () => true, inboxOnly: true },
      }),
    )
    expect(plan).toMatchObject({ createHere: [], createThere: [], removeHere: [], removeThere: [] })
  })

  it('carries subscriptions over, and unsubscriptions', () => {
    const both = inboxAnd('a', 'b')
    const plan = planTree(
      input({
        ...both,
        there: [there('INBOX'), there('a', { subscribed: true }), there('b')],
        subscribedHere: new Set(['b']),
        pairs: [pair('INBOX'), { ...pair('a'), subscribed: true }, { ...pair('b'), subscribed: true }],
      }),
    )
    expect(plan).toMatchObject({
      unsubscribeThere: ['a'],
      unsubscribeHere: ['b'],
      subscribeHere: [],
      subscribeThere: [],
    })
  })
})

type Side = 'there' | 'here'

/** Both trees in memory; ids stay over renames. */
class World {
  readonly there = new Map<string, string>([['r0', 'INBOX']])
  readonly here = new Map<string, string>([['l0', 'INBOX']])
  pairs: Pair[] = []
  /** So many were made by somebody. */
  made = 0
  private id = 1
  private now = 1_800_000_000
  private suspicion: TreeInput['suspicion']
  private readonly removed = new Set<string>()

  make(side: Side, name: string): void {
    if (isNamed(this[side], name)) return
    this.create(side, name)
    this.made += 1
  }
  rename(side: Side, at: number, to: string): void {
    const names = [...this[side].values()].filter((name) => name !== 'INBOX')
    const from = names[at % Math.max(1, names.length)]
    if (from !== undefined && canMove(this[side], { from, to })) move(this[side], { from, to })
  }
  remove(side: Side, at: number): void {
    const entries = [...this[side]].filter(([, name]) => name !== 'INBOX')
    const [id] = entries[at % Math.max(1, entries.length)] ?? []
    if (id === undefined) return
    this[side].delete(id)
    this.removed.add(id)
  }
  pass(): void {
    this.now += 43_200
    const plan = planTree({
      there: Array.from(this.there, ([id, path]) => ({ path, delimiter: '/', id, subscribed: false })),
      here: Array.from(this.here, ([id, name]) => ({ name, id: id as MailboxId, hasOwn: false })),
      occupied: new Set(),
      subscribedHere: new Set(),
      pairs: this.pairs,
      changedThere: new Set(),
      policy: { prefix: '', namespace: '', isOurs: () => true, inboxOnly: false },
      suspicion: this.suspicion,
      now: this.now,
    })
    this.suspicion = plan.suspicion
    this.moveAll('here', plan.renameHere)
    for (const name of plan.createHere) this.create('here', name)
    this.moveAll('there', plan.renameThere)
    for (const path of plan.createThere) this.create('there', path)
    expect(new Set(plan.paired.map(({ name }) => name)).size).toBe(plan.paired.length)
    this.pairs = plan.paired.flatMap(({ path, name }) => {
      const idThere = idOf(this.there, path)
      const idHere = idOf(this.here, name)
      return idThere === undefined || idHere === undefined
        ? []
        : [{ path, idThere, name, idHere: idHere as MailboxId, subscribed: false }]
    })
    for (const { idThere, idHere } of plan.leaving)
      expect(this.removed.has(idThere ?? '') || this.removed.has(idHere), 'somebody removed it').toBe(true)
    for (const path of plan.removeThere) this.drop('there', path)
    for (const name of plan.removeHere) this.drop('here', name)
  }
  private create(side: Side, name: string): void {
    expect(isNamed(this[side], name), `${name} is there already`).toBe(false)
    this[side].set(`${side[0]}${this.id++}`, name)
  }
  private moveAll(side: Side, renames: readonly Rename[]): void {
    for (const rename of inTurn(renames, '/')) {
      expect(canMove(this[side], rename), `${rename.from} can be renamed to ${rename.to}`).toBe(true)
      move(this[side], rename)
    }
  }
  private drop(side: Side, name: string): void {
    const id = idOf(this[side], name)
    if (id === undefined) throw new Error(`${name} is to be removed on side ${side}, and is not there`)
    expect(this.pairs.some(({ idThere, idHere }) => id === idThere || id === idHere)).toBe(false)
    this[side].delete(id)
  }
}

/** Neither a mailbox nor a level has the name, and it is not below the mailbox itself. */
function canMove(tree: ReadonlyMap<string, string>, { from, to }: Rename): boolean {
  const names = [...tree.values()]
  const isFree = !names.some((name) => name === to || name.startsWith(`${to}/`))
  return isFree && names.includes(from) && !to.startsWith(`${from}/`)
}
function move(tree: Map<string, string>, { from, to }: Rename): void {
  for (const [id, name] of tree)
    if (name === from || name.startsWith(`${from}/`)) tree.set(id, to + name.slice(from.length))
}
function idOf(tree: ReadonlyMap<string, string>, name: string): string | undefined {
  return [...tree].find(([, one]) => one === name)?.[0]
}
const isNamed = (tree: ReadonlyMap<string, string>, name: string): boolean => idOf(tree, name) !== undefined

type Change = readonly ['make' | 'rename' | 'remove' | 'pass', Side, at: number, name: string]

function expectAgreement(changes: readonly Change[]): World {
  const world = new World()
  for (const [what, side, at, name] of changes)
    if (what === 'make') world.make(side, name)
    else if (what === 'rename') world.rename(side, at, name)
    else if (what === 'remove') world.remove(side, at)
    else world.pass()
  for (let pass = 0; pass < 6; pass += 1) world.pass()
  expect(world.pairs.map(({ name }) => name).sort()).toEqual([...world.here.values()].sort())
  expect(world.pairs.map(({ path }) => path).sort()).toEqual([...world.there.values()].sort())
  expect(world.pairs.length, 'none has become two').toBeLessThanOrEqual(1 + world.made)
  return world
}

describe('passes between two trees that both change', () => {
  it('make one of no two that a rename would give the same name', () => {
    const world = expectAgreement([
      ['make', 'there', 0, 'b/x'],
      ['make', 'there', 0, 'b'],
      ['pass', 'there', 0, 'a'],
      ['rename', 'there', 1, 'a'],
      ['make', 'here', 0, 'a/x'],
    ])
    expect([...world.here.values()].sort()).toEqual(['INBOX', 'a/x', 'b', 'b/x'])
  })

  it('end with every mailbox on one side being one on the other', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'a/x', 'a/y', 'b/x', 'c/x/y')
    const change = fc.tuple(
      fc.constantFrom('make', 'rename', 'remove', 'pass'),
      fc.constantFrom('there', 'here'),
      fc.nat(9),
      name,
    )
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        expectAgreement(changes)
      }),
      { numRuns: 2000 },
    )
  })
})
