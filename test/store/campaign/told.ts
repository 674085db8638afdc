/** What a worker says, a JSON line each: mostly after an acknowledgement; before everything that takes something away. */

/** A message: the mailbox's id and the UID. */
export type Key = `${string}/${number}`

export type Told =
  | readonly ['ready']
  /** A step begins, and one ended. */
  | readonly ['does', step: string]
  | readonly ['did', step: string]
  /** An error that may come: of a message that another one expunged, of a mailbox that was renamed. */
  | readonly ['refused', step: string, why: string]
  | readonly ['fault', what: string]
  | readonly ['delivered', Key, digest: string, origin: string | null]
  | readonly ['duplicate', Key, origin: string]
  | readonly ['saw', Key, digest: string]
  | readonly ['expunging', readonly Key[], digests: readonly string[]]
  /** Like expunging, but the message is to be in another mailbox then. */
  | readonly ['moving', readonly Key[], digests: readonly string[]]
  | readonly ['expunged', readonly Key[]]
  | readonly ['copied', Key, digest: string]
  | readonly ['vanished', readonly Key[]]
  | readonly ['state', id: string, modSeq: number, uidNext: number, count: number, hash: number]
  | readonly ['flagged', Key, modSeq: number]
  /** A conditional change of a message as of `modSeq` was made. */
  | readonly ['won', Key, modSeq: number]
  | readonly ['recent', id: string, after: number, upTo: number]
  /** Only the worker in whose name it is makes and removes such a mailbox. */
  | readonly ['created', name: string, id: string]
  | readonly ['removing', name: string, id: string]
  | readonly ['removed', name: string, id: string]
