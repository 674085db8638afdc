/**
 * A TCP proxy on loopback that holds every octet back by a constant time each way, as a long line would; bandwidth is not limited.
 * The connect is held back by three times the delay (SYN, SYN-ACK, ACK). Run as its own process: `node delay-proxy.ts LISTEN BACKEND MS`;
 * prints `ready` when it listens.
 */
import { connect, createServer, type Socket } from 'node:net'

const [listenPort, backendPort, delayMs] = process.argv.slice(2).map(Number) as [number, number, number]

/** Octets (or the end of stream, undefined) on their way from `from` to `to`. */
function relay(from: Socket, to: Socket): void {
  const underway: { due: number; octets: Buffer | undefined }[] = []
  let timer: NodeJS.Timeout | undefined
  const deliver = () => {
    timer = undefined
    const now = performance.now()
    to.cork()
    while (underway.length > 0 && underway[0]!.due <= now + 0.5) {
      const { octets } = underway.shift()!
      if (octets === undefined) to.end()
      else to.write(octets)
    }
    to.uncork()
    schedule()
  }
  const schedule = () => {
    if (timer === undefined && underway.length > 0)
      timer = setTimeout(deliver, Math.max(0, underway[0]!.due - performance.now()))
  }
  const hold = (octets: Buffer | undefined) => {
    underway.push({ due: performance.now() + delayMs, octets })
    schedule()
  }
  from.on('data', hold)
  from.on('end', () => hold(undefined))
  from.on('error', () => to.destroy())
  from.on('close', () => hold(undefined))
}

createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (client) => {
  client.on('error', () => client.destroy())
  setTimeout(() => {
    const backend = connect({ port: backendPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    relay(client, backend)
    relay(backend, client)
    client.resume()
  }, 3 * delayMs)
}).listen(listenPort, '127.0.0.1', () => process.stdout.write('ready\n'))
