/** What a check of the store can find: a closed list, with what each means and what a repair does about it. */

import type { Uid, UserId } from '../../base/ids.ts'

/** `damage`: something is lost or will be; `warning`: nothing is, but it is not as it should be; `note`: left-overs that cost room only. */
export type Severity = 'damage' | 'warning' | 'note'

interface Kind {
  readonly severity: Severity
  readonly means: string
  readonly repair: string
}

const stub = 'puts a message that tells of it in its place, and what is left of the file into quarantine'
const rebuild = 'rebuilds the log from what can be read of it and from the message files'
const aside = 'moves it into quarantine'

export const findingKinds = {
  'message-missing': { severity: 'damage', means: 'the log has a message whose file is not there', repair: stub },
  'message-size': { severity: 'damage', means: 'a message file is shorter or longer than it was', repair: stub },
  'message-digest': { severity: 'damage', means: 'the octets of a message are not those that came', repair: stub },
  'message-special': { severity: 'damage', means: 'what lies in the place of a message is no file', repair: stub },
  unreadable: {
    severity: 'damage',
    means: 'the disk does not give it out',
    repair: 'nothing: look at the disk, or at owner and mode, and try again',
  },
  'removed-about': {
    severity: 'damage',
    means: 'the name of a removed mailbox is lost, so it can not be brought back',
    repair: 'gives it another name',
  },
  'account-way': {
    severity: 'warning',
    means: 'the making or the move of an account did not come to its end',
    repair: 'ends it, or gives up what is a day old',
  },
  'log-missing': { severity: 'damage', means: 'message files without a log, which nobody can see', repair: rebuild },
  'log-entry': { severity: 'damage', means: 'an entry of the log is damaged', repair: rebuild },
  'log-hole': { severity: 'damage', means: 'an entry of the log is missing', repair: rebuild },
  'log-base': { severity: 'damage', means: 'the state that a part of the log begins with is damaged', repair: rebuild },
  'log-chain': { severity: 'damage', means: 'a part of the log does not follow the one before it', repair: rebuild },
  'log-replay': {
    severity: 'damage',
    means: 'a part of the log begins with another state than the one before it ends with',
    repair: rebuild,
  },
  'uid-order': { severity: 'damage', means: 'UIDs do not ascend, or one is at or above UIDNEXT', repair: rebuild },
  'mod-sequence': { severity: 'damage', means: 'a message was changed later than the log goes', repair: rebuild },
  'origin-twice': { severity: 'damage', means: 'two messages have one origin', repair: rebuild },
  'file-twice': { severity: 'damage', means: 'two messages have one file', repair: rebuild },
  'log-later': {
    severity: 'warning',
    means: 'a later version of the store wrote the log',
    repair: 'nothing: update this server',
  },
  'cache-damaged': {
    severity: 'warning',
    means: 'a cache is damaged',
    repair: 'removes it; it is made again when needed',
  },
  'cache-wrong': {
    severity: 'warning',
    means: 'a cache tells something else than the messages do',
    repair: 'removes it; it is made again when needed',
  },
  'share-unnoted': {
    severity: 'warning',
    means: 'those who were given rights on a mailbox do not see it in their lists',
    repair: 'makes the note by which they find it',
  },
  'stray-file': { severity: 'warning', means: 'a file that the store did not make', repair: aside },
  'stray-directory': { severity: 'warning', means: 'a directory that the store did not make', repair: aside },
  'special-file': { severity: 'warning', means: 'a link, FIFO, socket or device; the store makes none', repair: aside },
  'not-a-directory': {
    severity: 'warning',
    means: 'something else lies where a directory belongs',
    repair: `${aside} and makes the directory`,
  },
  'directory-missing': { severity: 'warning', means: 'a directory of a mailbox is missing', repair: 'makes it' },
  'account-name': { severity: 'warning', means: "a directory that is no user's", repair: aside },
  mode: { severity: 'warning', means: 'others than the owner may use it, or the owner may not', repair: 'sets it' },
  owner: { severity: 'warning', means: 'it belongs to another user than its account', repair: 'sets it, as root' },
  announced: {
    severity: 'note',
    means: 'messages of an old server that have not come yet',
    repair: 'nothing: they come with the migration',
  },
  'left-over': {
    severity: 'note',
    means: 'a delivery or removal did not come to its end',
    repair: 'removes it; a message goes into quarantine',
  },
  'account-gone': { severity: 'note', means: 'the removal of an account did not come to its end', repair: 'ends it' },
} as const satisfies Readonly<Record<string, Kind>>

export type FindingKind = keyof typeof findingKinds

/** Where and what. */
export interface Sighting {
  readonly kind: FindingKind
  /** Absolute. */
  readonly path: string
  readonly userId?: UserId | undefined
  readonly mailbox?: string | undefined
  readonly uid?: Uid | undefined
  /** What this one looks like, beyond what its kind means. */
  readonly detail?: string | undefined
}

export interface Finding extends Sighting {
  readonly severity: Severity
  readonly means: string
  /** What a repair does about it. */
  readonly repair: string
  /** Undefined when no repair was asked for. */
  readonly repaired: boolean | undefined
  /** Why it could not be repaired. */
  readonly failure: string | undefined
}
