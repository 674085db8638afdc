import { expect, it } from 'vitest'
import { messageFileName } from '#src/store/message-file.ts'
import { NameFilter } from '#src/store/name-filter.ts'

const nameOf = (unique: string, date: number) =>
  messageFileName({ internalDate: date, sizeOctets: 1000, origin: undefined, unique, digest: 'A'.repeat(43) })

it('knows every name that was added, and takes few others for one', () => {
  const count = 50_000
  const filter = new NameFilter(count)
  for (let n = 0; n < count; n += 1) filter.add(nameOf(`a${n.toString(36)}`, n))
  let mistaken = 0
  for (let n = 0; n < count; n += 1) {
    expect(filter.mayHave(nameOf(`a${n.toString(36)}`, n))).toBe(true)
    if (filter.mayHave(nameOf(`b${n.toString(36)}`, n))) mistaken += 1
  }
  expect(mistaken).toBeLessThan(count / 100)
})

it('can be empty', () => {
  expect(new NameFilter(0).mayHave('x')).toBe(false)
})
