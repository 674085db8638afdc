/** The bus of a process that is no client of mseventd: mseventd itself. */
import { RemoteError } from '../base/errors.ts'
import type { EventBus } from './types.ts'

const away = (): Promise<never> =>
  Promise.reject(new RemoteError('this process is not connected to mseventd', { retryable: false }))

/** Drops what is published, hears nothing, answers nothing. */
export const noEvents: EventBus = {
  connected: false,
  publish: () => {},
  subscribe: () => () => {},
  announce: () => ({ update: () => {}, withdraw: () => {} }),
  presences: away,
  ask: away,
  serve: () => () => {},
  close: async () => {},
  [Symbol.asyncDispose]: async () => {},
}
