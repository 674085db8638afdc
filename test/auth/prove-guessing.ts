/**
 * Good logins beside a flood of wrong passwords from many addresses: `npm run prove:guessing -- --rate 1000 --seconds 20`. A good login within a second, the latency of APPEND at most
 * doubled; both are printed, quiet and flooded. imapd and mseventd run as an operator runs them, the good clients are this process, the flood is another, which gives
 * way a little (`--nice 5`): a guesser does not sit on the same machine. What each took of the machine is printed. The short form is in throttle.test.ts.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { availableParallelism, getPriority, setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { openAccounts } from '#src/auth/accounts.ts'
import { makeVerifiers } from '#src/auth/verifier.ts'
import type { UserId } from '#src/base/ids.ts'
import { programArgs } from '#test/support/program-args.ts'
import { threadsCpuMs, treeCpuMs } from '../support/cpu.ts'
import { startWherry } from '../support/wherry.ts'

const user = 'anna@example.org'

interface Wave {
  readonly port: number
  readonly rate: number
  readonly nice: number
}
interface Flooded {
  readonly sent: number
  /** Refused in words. */
  readonly answered: number
}

if (process.send) {
  const [{ port, rate, nice }] = (await once(process, 'message')) as [Wave]
  setPriority(Math.min(19, getPriority() + nice))
  const flooded = await flood(port, rate)
  process.send(flooded, () => process.exit(0))
} else {
  const { values } = programArgs({
    options: {
      rate: { type: 'string', default: '1000' },
      seconds: { type: 'string', default: '20' },
      nice: { type: 'string', default: '5' },
    },
  })
  await using wherry = await startWherry({
    services: ['mseventd', 'imapd'],
    options: { gateway_mode: false, failed_logins_per_minute: 10 },
  })
  const accounts = openAccounts(`${wherry.directory}/accounts`)
  const verifiers = makeVerifiers(Buffer.from('secret'))
  await accounts.add({ userId: user as UserId, state: 'enabled', verifiers, services: {}, properties: [] })
  process.exitCode = (await measure(
    wherry,
    { rate: Number(values.rate), nice: Number(values.nice) },
    Number(values.seconds),
  ))
    ? 0
    : 1
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

/** Until the other side says that it is enough. */
async function flood(port: number, rate: number): Promise<Flooded> {
  let sent = 0
  let answered = 0
  let enough = false
  process.once('message', () => {
    enough = true
  })
  const since = performance.now()
  while (!enough) {
    for (; sent < ((performance.now() - since) * rate) / 1000; sent++) {
      const from = `127.${1 + (sent % 200)}.${Math.floor(sent / 200) % 250}.${1 + (sent % 250)}`
      talk(port, from, [`a0 LOGIN user${sent % 5000}@example.org wrong\r\n`], 5_000).then(({ text }) => {
        if (/\na0 (NO|BAD)|BYE/.test(text)) answered++
      })
    }
    await sleep(5)
  }
  return { sent, answered }
}

async function measure(
  wherry: Awaited<ReturnType<typeof startWherry>>,
  wave: Omit<Wave, 'port'>,
  seconds: number,
): Promise<boolean> {
  const port = wherry.imapPort
  const message = `Subject: x\r\n\r\n${'x'.repeat(1000)}\r\n`
  const login = `a0 LOGIN ${user} secret\r\n`
  const append = [login, `a1 APPEND INBOX {${message.length}+}\r\n${message}\r\n`]
  let refused = 0
  const good = async (into: { logins: number[]; appends: number[] }) => {
    const since = performance.now()
    const heard = await talk(port, '127.0.0.1', [login], 10_000)
    if (!heard.text.includes('a0 OK')) refused++
    into.logins.push(performance.now() - since)
    into.appends.push((await talk(port, '127.0.0.1', append, 10_000)).lastMs)
  }
  const phase = async (forMs: number) => {
    const of = { logins: [] as number[], appends: [] as number[] }
    for (const end = performance.now() + forMs; performance.now() < end; await sleep(200)) await good(of)
    return of
  }
  // Every worker, and warm.
  await phase(5_000)
  const quiet = await phase(seconds * 500)
  const server = fork(import.meta.filename, [])
  server.send({ port, ...wave } satisfies Wave)
  await sleep(2_000)
  const [begun, before] = [performance.now(), cpu(wherry, server.pid!)]
  const flooded = await phase(seconds * 1000)
  const [took, after] = [performance.now() - begun, cpu(wherry, server.pid!)]
  server.send('enough')
  const [{ sent, answered }] = (await once(server, 'message')) as [Flooded]

  const at = (all: readonly number[], share: number) =>
    Math.round(all.toSorted((a, b) => a - b)[Math.min(all.length - 1, Math.floor(all.length * share))]! * 10) / 10
  for (const [name, all] of Object.entries({ quiet, flooded }))
    for (const what of ['logins', 'appends'] as const)
      process.stdout.write(
        `${name} ${what}: ${all[what].length}, median ${at(all[what], 0.5)} ms, 99 % ${at(all[what], 0.99)} ms, most ${at(all[what], 1)} ms\n`,
      )
  process.stdout.write(`${sent} wrong passwords sent, ${answered} answered; ${refused} good logins refused\n`)
  const shares = Object.entries(after).map(
    ([who, ms]) => `${who} ${Math.round(((ms - (before[who] ?? 0)) / took) * 100)} %`,
  )
  process.stdout.write(`of ${availableParallelism()} cores while flooded, in percent of one: ${shares.join(', ')}\n`)
  const ratio = at(flooded.appends, 0.5) / at(quiet.appends, 0.5)
  process.stdout.write(`APPEND beside the flood takes ${ratio.toFixed(2)} times as long\n`)
  return refused === 0 && at(flooded.logins, 1) <= 1000 && ratio <= 2
}

/** Milliseconds so far, by who took them. */
function cpu(wherry: Awaited<ReturnType<typeof startWherry>>, flooder: number): Record<string, number> {
  const imapd = wherry.pids('imapd')
  const threads = imapd.flatMap((pid) => threadsCpuMs(pid))
  const sum = (all: readonly { readonly cpuMs: number }[]) => all.reduce((total, { cpuMs }) => total + cpuMs, 0)
  const isMain = ({ isMain }: { readonly isMain: boolean }) => isMain
  const isHash = ({ name }: { readonly name: string }) => name.startsWith('hash')
  return {
    'sessions of imapd': sum(threads.filter(isMain)),
    'its hashing': sum(threads.filter(isHash)),
    'its other threads': sum(threads.filter((thread) => !isMain(thread) && !isHash(thread))),
    mseventd: wherry.pids('mseventd').reduce((total, pid) => total + treeCpuMs(pid), 0),
    'the flood': treeCpuMs(flooder),
    'the good clients': process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000,
    'the whole machine': busyMs(),
  }
}

/** proc(5): all of the machine that is not idle. */
function busyMs(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = readFileSync('/proc/stat', 'latin1')
    .split('\n')[0]!
    .split(/ +/)
    .slice(1)
    .map(Number)
  return (user + nice + system + irq + softirq) * 10
}
