import type { Capabilities } from '../types.ts'

const make = (known: boolean, lines: readonly string[]): Capabilities => {
  const parameters = new Map<string, readonly string[]>()
  for (const line of lines) {
    const [name, ...rest] = line.trim().split(/\s+/)
    if (name !== undefined && name !== '') parameters.set(name.toUpperCase(), rest)
  }
  /** First parameter as a number of at most eight digits. `60 USER` tells that it may differ by user. RFC 2449 §6.5 */
  const number = (name: string): number | undefined => {
    const value = parameters.get(name)?.[0]
    return value !== undefined && /^\d{1,8}$/.test(value) ? Number(value) : undefined
  }
  return {
    known,
    has: (name) => parameters.has(name),
    mechanisms: new Set(parameters.get('SASL')?.map((name) => name.toUpperCase())),
    loginDelaySeconds: number('LOGIN-DELAY') ?? 0,
    expireDays: number('EXPIRE'),
  }
}

/** A server without CAPA. */
export const noCapabilities: Capabilities = make(false, [])

/** The body of a positive reply to CAPA. RFC 2449 §5 */
export const parseCapabilities = (body: Buffer): Capabilities => make(true, body.toString('latin1').split(/\r?\n/))
