/** `:index` and `:last`. RFC 5260 §6; `selection.ts` chooses by them. */

import type { Extension, TagSpec } from '../language.ts'

export const indexTags: readonly TagSpec[] = [
  {
    name: 'index',
    value: 'number',
    check(given, context) {
      if (given.number('index') < 1) context.error(given.position, '":index" counts from 1: use a larger number')
    },
  },
  {
    name: 'last',
    check(given, context) {
      if (!given.has('index')) context.error(given.position, '":last" needs ":index" beside it: add ":index 1"')
    },
  },
]

export const index: Extension = {
  capability: 'index',
  tags: indexTags.map((tag) => ({ ...tag, on: ['header', 'address', 'date'] })),
}
