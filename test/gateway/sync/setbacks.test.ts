import { expect, it } from 'vitest'
import { Setbacks } from '#gateway/sync/setbacks.ts'

const trouble = { why: 'ended the session when it was asked for it', isRefused: false }

it('what fails in one mailbox of an account is remembered while others are looked at', () => {
  const setbacks = new Setbacks()
  const [bad, good] = [{ origin: 'imap://a@b/1/1' }, { origin: 'imap://a@b/1/2' }]
  for (let pass = 0; pass < 2; pass++) {
    setbacks.order([{ origin: 'imap://a@b/2/7' }], ({ origin }) => origin, 0, 'imap://a@b/2/')
    setbacks.add(bad.origin, 0, trouble)
  }
  expect(setbacks.order([bad, good], ({ origin }) => origin, 0, 'imap://a@b/1/')).toEqual({ now: [good], later: [bad] })
  setbacks.order([good], ({ origin }) => origin, 0, 'imap://a@b/1/')
  expect(setbacks.of(bad.origin)).toBeUndefined()
})
