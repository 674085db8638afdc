/**
 * Real processes on one directory, killed at random; afterwards the invariants of mdir are checked against what they were told.
 * The long form: node test/store/campaign/campaign.ts [kills] [processes]
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemClock } from '#src/base/clock.ts'
import type { Uid, UserId } from '#src/base/ids.ts'
import { silentLog } from '#src/base/log.ts'
import { openStore } from '#src/store/store.ts'

interface Report {
  readonly delivered: number
  readonly kills: number
  readonly messages: number
  readonly faults: readonly string[]
}

class Ledger {
  readonly delivered = new Map<string, string>()
  readonly expunging = new Set<string>()
  readonly expunged = new Set<string>()
  readonly saw = new Map<string, string>()
  readonly faults: string[] = []

  take(line: string): void {
    const [word, key, value] = line.split('\t') as [string, string, string]
    if (word === 'delivered') {
      if (this.delivered.has(key)) this.faults.push(`${key} was given twice`)
      this.delivered.set(key, value)
    } else if (word === 'expunging') this.expunging.add(key)
    else if (word === 'expunged') this.expunged.add(key)
    else if (word === 'copied') this.delivered.set(value, '')
    else if (word === 'saw') {
      if ((this.saw.get(key) ?? value) !== value) this.faults.push(`${key} was shown with two contents`)
      this.saw.set(key, value)
    } else if (word === 'fault') this.faults.push(line)
  }
}

/** One worker; resolves `ended` when it is gone and all that it said was taken. */
function start(
  root: string,
  name: string,
  ledger: Ledger,
): { child: ChildProcess; ready: Promise<void>; ended: Promise<void> } {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'worker.ts'), root, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  let busy = () => {}
  const ready = new Promise<void>((resolve) => {
    busy = resolve
  })
  let count = 0
  lines.on('line', (line) => {
    count += 1
    if (count === 2) busy()
    ledger.take(line)
  })
  const ended = new Promise<void>((resolve) => lines.on('close', () => resolve()))
  void ended.then(busy)
  return { child, ready, ended }
}

export async function campaign(kills: number, processes: number): Promise<Report> {
  const root = mkdtempSync(join(tmpdir(), 'wherry-campaign-'))
  const ledger = new Ledger()
  try {
    let left = kills
    await Promise.all(
      Array.from({ length: processes }, async (_, index) => {
        while (left > 0 && ledger.faults.length === 0) {
          left -= 1
          const { child, ready, ended } = start(root, `worker-${index}`, ledger)
          // Any moment in the middle of its work will do.
          await ready
          await systemClock.sleep(Math.random() * 400)
          child.kill('SIGKILL')
          await ended
        }
      }),
    )
    const messages = await check(root, ledger)
    return { delivered: ledger.delivered.size, kills, messages, faults: ledger.faults }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** As a fresh process sees it. */
async function check(root: string, ledger: Ledger): Promise<number> {
  await using store = openStore({ root, clock: systemClock, log: silentLog })
  const account = store.account('lena@example.com' as UserId)
  let messages = 0
  for (const name of ['INBOX', 'Archive']) {
    await using mailbox = await account.open(name)
    const box = `${name}/${mailbox.uidValidity}/`
    const uids = (keys: Iterable<string>) =>
      [...keys].filter((key) => key.startsWith(box)).map((key) => Number(key.slice(box.length)) as Uid)
    const origins = new Set<string>()
    let last = 0
    for (const message of mailbox.messages) {
      messages += 1
      const key = box + message.uid
      if (message.uid <= last) ledger.faults.push(`${key} is not above ${last}`)
      last = message.uid
      if (ledger.expunged.has(key)) ledger.faults.push(`${key} is expunged and there`)
      if (message.origin !== undefined && origins.has(message.origin))
        ledger.faults.push(`${message.origin} is there twice`)
      if (message.origin !== undefined) origins.add(message.origin)
      const known = ledger.delivered.get(key) || ledger.saw.get(key)
      if (known !== undefined && known !== message.digest) ledger.faults.push(`${key} has another content`)
      await using content = await mailbox.content(message)
      if (content.sizeOctets !== message.sizeOctets) ledger.faults.push(`${key} is cut off`)
    }
    for (const uid of uids([...ledger.delivered.keys(), ...ledger.saw.keys()])) {
      if (uid >= mailbox.uidNext) ledger.faults.push(`${box}${uid} was shown, UIDNEXT is ${mailbox.uidNext}`)
      if (mailbox.byUid(uid) === undefined && !ledger.expunging.has(box + uid))
        ledger.faults.push(`${box}${uid} is lost`)
    }
  }
  return messages
}

if (import.meta.main) {
  const report = await campaign(Number(process.argv[2] ?? 300), Number(process.argv[3] ?? 4))
  console.log(report)
  if (report.faults.length > 0) process.exitCode = 1
}
