import { describe, expect, it } from 'vitest'
import { Slots } from '#src/store/slots.ts'

describe('slots', () => {
  it('run no more at once than allowed, in order', async () => {
    const slots = new Slots(2, 100)
    const gates = [1, 2, 3, 4].map(() => Promise.withResolvers<void>())
    const begun: number[] = []
    const runs = gates.map((gate, index) =>
      slots.run(async () => {
        begun.push(index)
        await gate.promise
      }),
    )
    expect(begun).toEqual([0, 1])
    gates[1]!.resolve()
    await runs[1]
    expect(begun).toEqual([0, 1, 2])
    for (const gate of gates) gate.resolve()
    await Promise.all(runs)
    expect(begun).toEqual([0, 1, 2, 3])
  })

  it('have no room while too many octets are held, whatever the number of works', async () => {
    const slots = new Slots(64, 100)
    slots.hold(99)
    expect(slots.room()).toBeUndefined()
    slots.hold(1)
    let resumed = 0
    const waiting = [slots.room(), slots.room()].map((room) => room!.then(() => resumed++))
    slots.hold(50)
    slots.release(50)
    await Promise.resolve()
    expect(resumed).toBe(0)
    slots.release(1)
    await Promise.all(waiting)
    expect(slots.room()).toBeUndefined()
  })

  it('have no room while as many wait as run', async () => {
    const slots = new Slots(1, 100)
    const gates = [1, 2].map(() => Promise.withResolvers<void>())
    const runs = gates.map((gate) => slots.run(() => gate.promise))
    const room = slots.room()
    expect(room).toBeInstanceOf(Promise)
    gates[0]!.resolve()
    await room
    gates[1]!.resolve()
    await Promise.all(runs)
  })
})
