import { createServer } from 'node:net'
import type { Ports } from './state.ts'

/** Where a first look goes to; the next free ones when these are taken. */
const wanted: Ports = { imap: 1143, pop3: 1110, lmtp: 2003, demoPop3: 2110 }

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })

async function freeFrom(first: number, taken: ReadonlySet<number>): Promise<number> {
  for (let port = first; port < first + 1000; port++) if (!taken.has(port) && (await isFree(port))) return port
  throw new Error(`no free port between ${first} and ${first + 999}`)
}

/** Loopback ports for everything that `npm start` runs, all different. */
export async function choosePorts(): Promise<Ports> {
  const taken = new Set<number>()
  const choose = async (first: number) => {
    const port = await freeFrom(first, taken)
    taken.add(port)
    return port
  }
  return {
    imap: await choose(wanted.imap),
    pop3: await choose(wanted.pop3),
    lmtp: await choose(wanted.lmtp),
    demoPop3: await choose(wanted.demoPop3),
  }
}
