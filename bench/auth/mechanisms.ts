/** Logins a second by each mechanism, over IMAP in clear on loopback, by clients that take turns between the servers. */
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { login, plain, type SaslExchange, Scram } from '#gateway/backend/sasl.ts'

export const mechanisms = ['PLAIN', 'LOGIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256'] as const

export interface Target {
  readonly name: string
  readonly port: number
  readonly user: string
  readonly password: string
}

const exchangeOf = (mechanism: (typeof mechanisms)[number], { user, password }: Target): SaslExchange => {
  const credentials = { user, secret: Buffer.from(password) }
  switch (mechanism) {
    case 'PLAIN':
      return plain(credentials)
    case 'LOGIN':
      return login(credentials)
    case 'SCRAM-SHA-1':
      return new Scram('sha1', credentials)
    case 'SCRAM-SHA-256':
      return new Scram('sha256', credentials)
  }
}

/** Throws Error when it fails. */
const logIn = async (target: Target, mechanism: (typeof mechanisms)[number]): Promise<void> => {
  const socket = connect({ port: target.port, host: '127.0.0.1', noDelay: true })
  const exchange = exchangeOf(mechanism, target)
  try {
    let initial = exchange.initial
    for await (const line of createInterface({ input: socket })) {
      if (line.startsWith('* OK')) socket.write(`a AUTHENTICATE ${mechanism}\r\n`)
      else if (line.startsWith('a OK')) return
      else if (line.startsWith('a ')) throw new Error(`${target.name}, ${mechanism}: ${line}`)
      else if (line.startsWith('+')) {
        const answer = initial ?? (await exchange.respond(Buffer.from(line.slice(1).trim(), 'base64')))
        initial = undefined
        socket.write(`${answer?.toString('base64') ?? '*'}\r\n`)
      }
    }
    throw new Error(`${target.name}, ${mechanism}: closed`)
  } finally {
    socket.destroy()
  }
}

/** Logins a second with so many clients at once. */
export const loginsPerSecond = async (
  target: Target,
  mechanism: (typeof mechanisms)[number],
  clients: number,
  ms: number,
): Promise<{ readonly logins: number; readonly perSecond: number }> => {
  const since = performance.now()
  let done = 0
  const client = async () => {
    while (performance.now() - since < ms) {
      await logIn(target, mechanism)
      done++
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return { logins: done, perSecond: (done * 1000) / (performance.now() - since) }
}
