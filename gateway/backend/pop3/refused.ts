import { BackendError } from '../errors.ts'
import { classifyRefusal, type Stage } from '../reply-classifier.ts'
import type { Reply } from './connection.ts'

/** The error that an -ERR before the TRANSACTION state stands for. `authCodes`: the server announces AUTH-RESP-CODE. */
export const refused = (what: string, reply: Reply, stage: Stage, authCodes: boolean): BackendError => {
  const { kind, text, retryAfterMs } = classifyRefusal(reply.text, stage, authCodes)
  return new BackendError(kind, `the backend refused ${what}`, {
    serverText: text,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}
