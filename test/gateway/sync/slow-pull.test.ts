import { expect, it } from 'vitest'
import { slowPull } from './slow-pull.ts'

it.each(['pop', 'imap'] as const)(
  'tokens of three seconds and a pull by %s that is slowed down to nine: complete, and nothing twice (npm run prove:tokens takes ten minutes)',
  async (protocol) => {
    const { sessions, tokens, ...rest } = await slowPull({ protocol, tokenSeconds: 3, pullSeconds: 9 })
    expect(rest).toMatchObject({ messages: 240, missing: 0, doubled: 0 })
    // The link ended sessions, and each began with a token that works.
    expect(sessions).toBeGreaterThan(2)
    expect(tokens).toBeGreaterThan(2)
  },
  120_000,
)
