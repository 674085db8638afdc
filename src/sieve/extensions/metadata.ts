/** Annotations of mailboxes and of the server. RFC 5490 §3.3, §3.4 and §4 */

import type { Answer, Extension, TestSpec } from '../language.ts'
import type { Run } from '../types.ts'

const annotationNames = { name: 'annotation-names', type: 'string-list' } as const
const annotationName = { name: 'annotation-name', type: 'string' } as const
const mailbox = { name: 'mailbox', type: 'string' } as const

const annotation = (run: Run, of: string | undefined, name: string): Answer<string | undefined> => {
  run.spend(100)
  return run.environment.metadata?.(of, name)
}

/** `isServer`: without the name of a mailbox. */
const test = (name: string, isServer: boolean): TestSpec => ({
  name,
  positional: [...(isServer ? [] : [mailbox]), annotationName, { name: 'keys', type: 'string-list' }],
  matches: true,
  compile(given) {
    const of = isServer ? undefined : given.text('mailbox')
    const asked = given.text('annotation-name')
    return async (run) => {
      const value = await annotation(run, of?.of(run), asked.of(run))
      // One that is not there matches nothing, not even "". §3.3
      return value === undefined ? false : given.matching.any([value], run)
    }
  },
})

const existence = (name: string, isServer: boolean): TestSpec => ({
  name,
  positional: [...(isServer ? [] : [mailbox]), annotationNames],
  compile(given) {
    const of = isServer ? undefined : given.text('mailbox')
    const asked = given.texts('annotation-names')
    return async (run) => {
      for (const each of asked.of(run)) if ((await annotation(run, of?.of(run), each)) === undefined) return false
      return true
    }
  },
})

export const mboxMetadata: Extension = {
  capability: 'mboxmetadata',
  tests: [test('metadata', false), existence('metadataexists', false)],
}

export const serverMetadata: Extension = {
  capability: 'servermetadata',
  tests: [test('servermetadata', true), existence('servermetadataexists', true)],
}
