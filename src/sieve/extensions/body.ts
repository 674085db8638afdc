/** What stands in the body. RFC 5173. Of large messages a bounded part of the bodies is looked at. */

import { BodyTexts } from '../body-texts.ts'
import type { Answer, Arguments, Extension, Run } from '../language.ts'
import { perMessage } from '../language.ts'

const bodies = perMessage((run) => new BodyTexts(run))

export const body: Extension = {
  capability: 'body',
  tests: [
    {
      name: 'body',
      tags: [
        { name: 'raw', excludes: ['content', 'text'] },
        { name: 'content', value: 'string-list', excludes: ['text'] },
        { name: 'text' },
      ],
      positional: [{ name: 'keys', type: 'string-list' }],
      matches: true,
      compile: (given) => (run) => test(given, run),
    },
  ],
}

async function test(given: Arguments, run: Run): Promise<boolean> {
  const texts = bodies(run)
  const content = given.findTexts('content')
  const before = run.matchVariables
  const values = given.has('raw')
    ? await texts.raw()
    : content === undefined
      ? await texts.text()
      : await texts.content(content.of(run))
  const answer: Answer<boolean> = given.matching.any(values, run)
  const result = await answer
  // Wildcards here set no match variables. §6
  run.matched(before)
  return result
}
