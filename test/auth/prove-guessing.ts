/**
 * Good logins beside a flood of wrong passwords from many addresses: `npm run prove:guessing -- --rate 1000 --seconds 20`. A good login within a second, the latency of APPEND at most
 * doubled; both are printed, quiet and flooded. imapd is a process of its own, the flood and the good clients another. The short form is in throttle.test.ts.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startImapd } from '../imapd/support.ts'

const user = 'anna@example.org'

if (process.send) {
  const imapd = await startImapd([user], { failed_logins_per_minute: 10 })
  process.send(imapd.port)
  process.on('disconnect', () => process.exit(1))
  process.on('message', () => imapd.stop().then(() => process.exit(0)))
} else {
  const { values } = parseArgs({
    options: { rate: { type: 'string', default: '1000' }, seconds: { type: 'string', default: '20' } },
  })
  const server = fork(import.meta.filename, [])
  const [port] = (await once(server, 'message')) as [number]
  const fine = await measure(port, Number(values.rate), Number(values.seconds))
  server.send('stop')
  await once(server, 'exit')
  process.exitCode = fine ? 0 : 1
}

interface Heard {
  readonly text: string
  /** From the last line to its reply. */
  readonly lastMs: number
}

/** Sends lines one after the other, each when the reply to the one before is there. */
async function talk(port: number, from: string, lines: readonly string[], timeoutMs: number): Promise<Heard> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true, timeout: timeoutMs })
  let heard = ''
  let next = 0
  let sentAt = performance.now()
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text
    if (heard.endsWith('\r\n') && (next === 0 || heard.includes(`\na${next - 1} `) || text.startsWith('+'))) {
      if (next === lines.length) socket.destroy()
      else {
        sentAt = performance.now()
        socket.write(lines[next++]!)
      }
    }
  })
  socket.on('timeout', () => socket.destroy()).on('error', () => {})
  // Not `once`, which an error would reject: whoever finds no descriptor any more just hears nothing.
  await new Promise((resolve) => socket.on('close', resolve))
  return { text: heard, lastMs: performance.now() - sentAt }
}

async function measure(port: number, rate: number, seconds: number): Promise<boolean> {
  const message = `Subject: x\r\n\r\n${'x'.repeat(1000)}\r\n`
  const login = `a0 LOGIN ${user} secret\r\n`
  const append = [login, `a1 APPEND INBOX {${message.length}+}\r\n${message}\r\n`]
  const quiet = { logins: [] as number[], appends: [] as number[] }
  const flooded = { logins: [] as number[], appends: [] as number[] }
  let refused = 0
  const good = async (into: typeof quiet) => {
    const since = performance.now()
    const heard = await talk(port, '127.0.0.1', [login], 10_000)
    if (!heard.text.includes('a0 OK')) refused++
    into.logins.push(performance.now() - since)
    into.appends.push((await talk(port, '127.0.0.1', append, 10_000)).lastMs)
  }
  await good({ logins: [], appends: [] })
  for (const end = performance.now() + seconds * 500; performance.now() < end; await sleep(200)) await good(quiet)
  let sent = 0
  let answered = 0
  const stop = new AbortController()
  const flood = (async () => {
    const since = performance.now()
    while (!stop.signal.aborted) {
      for (; sent < ((performance.now() - since) * rate) / 1000; sent++) {
        const from = `127.${1 + (sent % 200)}.${Math.floor(sent / 200) % 250}.${1 + (sent % 250)}`
        talk(port, from, [`a0 LOGIN user${sent % 5000}@example.org wrong\r\n`], 5_000).then(({ text }) => {
          if (/\na0 (NO|BAD)|BYE/.test(text)) answered++
        })
      }
      await sleep(5)
    }
  })()
  await sleep(1_000)
  const begun = performance.now()
  for (const end = begun + seconds * 1000; performance.now() < end; await sleep(200)) await good(flooded)
  stop.abort()
  await flood
  const at = (all: readonly number[], share: number) =>
    Math.round(all.toSorted((a, b) => a - b)[Math.min(all.length - 1, Math.floor(all.length * share))]!)
  for (const [name, all] of Object.entries({ quiet, flooded }))
    for (const what of ['logins', 'appends'] as const)
      process.stdout.write(
        `${name} ${what}: ${all[what].length}, median ${at(all[what], 0.5)} ms, 99 % ${at(all[what], 0.99)} ms, most ${at(all[what], 1)} ms\n`,
      )
  process.stdout.write(`${sent} wrong passwords sent, ${answered} answered; ${refused} good logins refused\n`)
  const ratio = at(flooded.appends, 0.5) / at(quiet.appends, 0.5)
  process.stdout.write(`APPEND beside the flood takes ${ratio.toFixed(2)} times as long\n`)
  return refused === 0 && at(flooded.logins, 1) <= 1000 && ratio <= 2
}
