/**
 * A POP3 server of the least cost, for any number of users on any number of loopback addresses: each user has the same messages.
 * As a program (`node double.ts MESSAGES`) it prints its port, and is told of users by nobody: every name is right, with the password `pw`.
 * `127.0.66.*` is a host that hangs: connections are taken, and nothing is ever said.
 */
import { createServer, type Server, type Socket } from 'node:net'

export const hangingNetwork = '127.0.66.'

const crlf = Buffer.from('\r\n')
const body = (n: number) =>
  Buffer.from(`Subject: message ${n}\r\nMessage-ID: <${n}@bench.example>\r\n\r\n${'x'.repeat(500)}\r\n`)

export const startDouble = async (messages: number): Promise<{ readonly port: number; close(): void }> => {
  const bodies = Array.from({ length: messages }, (_, index) => body(index + 1))
  const octets = bodies.reduce((sum, { length }) => sum + length, 0)
  const uidl = `+OK\r\n${bodies.map((_, index) => `${index + 1} u${index + 1}\r\n`).join('')}.\r\n`
  const list = `+OK\r\n${bodies.map(({ length }, index) => `${index + 1} ${length}\r\n`).join('')}.\r\n`
  const answer = (line: string): string => {
    const [word = '', argument = ''] = line.split(' ')
    switch (word.toUpperCase()) {
      case 'CAPA':
        return '+OK\r\nUIDL\r\nTOP\r\nUSER\r\nPIPELINING\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n.\r\n'
      case 'STAT':
        return `+OK ${messages} ${octets}\r\n`
      case 'UIDL':
        return uidl
      case 'LIST':
        return list
      case 'RETR':
      case 'TOP':
        return `+OK\r\n${bodies[Number(argument) - 1]!.toString('latin1')}.\r\n`
      case 'PASS':
        return argument === 'pw' ? '+OK\r\n' : '-ERR [AUTH] wrong\r\n'
      case 'USER':
      case 'QUIT':
      case 'NOOP':
        return '+OK\r\n'
      default:
        return '-ERR unknown command\r\n'
    }
  }
  const sockets = new Set<Socket>()
  const serve = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.setNoDelay(true)
    if (socket.localAddress?.startsWith(hangingNetwork) === true) return
    let rest: Buffer = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      let reply = ''
      for (let end = rest.indexOf(crlf); end >= 0; end = rest.indexOf(crlf)) {
        const line = rest.toString('latin1', 0, end)
        rest = rest.subarray(end + 2)
        reply += answer(line)
        if (line.toUpperCase() === 'QUIT') socket.end(reply)
      }
      if (reply !== '' && socket.writable) socket.write(reply, 'latin1')
    })
    socket.write('+OK ready\r\n')
  }
  const server: Server = createServer(serve)
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '0.0.0.0', backlog: 4_096 }, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

if (import.meta.main) {
  const { port } = await startDouble(Number(process.argv[2] ?? 3))
  console.log(port)
  process.on('disconnect', () => process.exit())
}
