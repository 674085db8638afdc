/** A line to a server on loopback on which what the server says comes slowly: so many octets a second on each connection. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'

export interface SlowLine extends AsyncDisposable {
  readonly port: number
  /** Octets a second on each connection, from now on. */
  rate: number
  /** Ends all connections, and every new one at once, until it is mended. */
  cut(): void
  mend(): void
}

/** Each is passed on in pieces of a twentieth of a second. */
const piecesPerSecond = 20

export async function slowLine(backendPort: number, rate: number): Promise<SlowLine> {
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer({ noDelay: true }, (client) => {
    if (isCut) return void client.destroy()
    const backend = connect({ port: backendPort, host: '127.0.0.1', noDelay: true })
    for (const socket of [client, backend]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        backend.destroy()
      })
    }
    client.pipe(backend)
    void pour(backend, client, () => line.rate).catch(() => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const line = {
    port: (server.address() as AddressInfo).port,
    rate,
    cut: () => {
      isCut = true
      for (const socket of sockets) socket.destroy()
    },
    mend: () => {
      isCut = false
    },
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
  return line
}

async function pour(from: Socket, to: Socket, rate: () => number): Promise<void> {
  for await (const chunk of from as AsyncIterable<Buffer>)
    for (let at = 0; at < chunk.length; ) {
      const octets = Math.max(1, Math.ceil(rate() / piecesPerSecond))
      const piece = chunk.subarray(at, at + octets)
      at += piece.length
      if (!to.write(piece)) await once(to, 'drain')
      if (rate() !== Number.POSITIVE_INFINITY) await setTimeout((1000 * piece.length) / rate())
    }
  to.end()
}
