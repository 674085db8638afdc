/**
 * What the line and the backend can give at best: RETR of every message, pipelined, thrown away.
 * `node raw-reader.ts PORT USER PASSWORD WINDOW`; prints `messages octets`.
 */
import { connect } from 'node:net'

const [port, user, password, windowSize] = process.argv.slice(2) as [string, string, string, string]
const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true })
const end = Buffer.from('\r\n.\r\n')

let buffered = Buffer.alloc(0)
const chunks = socket[Symbol.asyncIterator]()
async function more(): Promise<void> {
  const { value, done } = await chunks.next()
  if (done) throw new Error('the server closed')
  buffered = buffered.length === 0 ? value : Buffer.concat([buffered, value])
}
async function line(): Promise<string> {
  let at = buffered.indexOf('\r\n')
  while (at < 0) {
    await more()
    at = buffered.indexOf('\r\n')
  }
  const text = buffered.toString('latin1', 0, at)
  buffered = buffered.subarray(at + 2)
  if (!text.startsWith('+OK')) throw new Error(text)
  return text
}

await line()
let count = 0
for (const command of [`USER ${user}`, `PASS ${password}`, 'STAT']) {
  socket.write(`${command}\r\n`)
  const reply = await line()
  if (command === 'STAT') count = Number(reply.split(' ')[1])
}
let sent = 0
const send = (wanted: number) => {
  let commands = ''
  for (let i = 0; i < wanted && sent < count; i++) commands += `RETR ${++sent}\r\n`
  if (commands !== '') socket.write(commands)
}
send(Number(windowSize))
let received = 0
let octets = 0
while (received < count) {
  let from = 0
  let finished = 0
  for (let at = buffered.indexOf(end, from); at >= 0; at = buffered.indexOf(end, from)) {
    from = at + end.length
    finished++
  }
  octets += from
  // the last four octets may begin the next terminator
  const keep = Math.max(from, buffered.length - 4)
  octets += keep - from
  buffered = buffered.subarray(keep)
  received += finished
  send(finished)
  if (received < count) await more()
}
console.log(`${received} ${octets}`)
socket.end('QUIT\r\n')
socket.destroy()
