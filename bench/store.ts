/**
 * The store beside Dovecot's three: durable deliveries, and opening, flagging, copying and expunging mailboxes of several sizes.
 *
 *     node bench/store.ts [--sizes 10000,100000] [--repeat 3] [--parts deliver,mailbox,memory] [--peers wherry,maildir,sdbox,mdbox] [--deliveries 5000] [--directory DIR]
 *
 * Needs root (to run Dovecot's imap as a user of its own, and to put the page cache out), Dovecot with LMTP, and a C compiler.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { programArgs } from '#test/support/program-args.ts'
import { benchMessages } from './messages.ts'
import { deliveries, type Rate } from './store/deliveries.ts'
import { DovecotStore, type Format, formats, needDovecot } from './store/dovecot-formats.ts'
import { type Figure, median, medians } from './store/figures.ts'
import { measure } from './store/mailbox-steps.ts'
import { WherryStore } from './store/wherry-store.ts'

const { values } = programArgs({
  options: {
    sizes: { type: 'string', default: '10000,100000' },
    repeat: { type: 'string', default: '3' },
    parts: { type: 'string', default: 'deliver,mailbox,memory' },
    peers: { type: 'string', default: ['wherry', ...formats].join(',') },
    deliveries: { type: 'string', default: '5000' },
    directory: { type: 'string', default: tmpdir() },
  },
})
const sizes = values.sizes.split(',').map(Number)
const repeat = Number(values.repeat)
const parts = values.parts.split(',')
const peers = values.peers.split(',')
const directory = mkdtempSync(join(values.directory, 'bench-store-'))
// Dovecot's processes run as another user.
chmodSync(directory, 0o755)

/** Distinct messages of a large mailbox; the others are copies: a file has at most 65,000 names on ext4. */
const distinct = 10_000

async function measureDeliveries(): Promise<void> {
  const rates: Rate[] = []
  const octets = Buffer.alloc(2048, 'x')
  const count = Number(values.deliveries)
  const dovecots = formats.filter((format) => peers.includes(format))
  for await (const rate of deliveries(directory, { octets, count, atOnce: [1, 32], repeat, formats: dovecots })) {
    console.log(`${rate.store}, ${rate.atOnce} at once: ${rate.messagesPerSecond.toFixed(0)}/s`)
    rates.push(rate)
  }
  const rows = Array.from(Map.groupBy(rates, ({ store, atOnce }) => `${atOnce}\n${store}`).values(), (group) => ({
    ...group[0]!,
    messagesPerSecond: median(group.map(({ messagesPerSecond }) => messagesPerSecond)),
  }))
  console.log(`\ndurable deliveries of 2 KB, medians of ${repeat}`)
  console.table(
    rows.map(({ store, atOnce, messagesPerSecond }) => {
      const own = rows.find((row) => row.store === 'Wherry' && row.atOnce === atOnce)!
      return {
        'at once': atOnce,
        store,
        'messages/s': Math.round(messagesPerSecond),
        'Wherry is': `${(own.messagesPerSecond / messagesPerSecond).toFixed(2)} times`,
      }
    }),
  )
}

async function measureMailboxes(): Promise<void> {
  const figures: Figure[] = []
  for (const messages of sizes) {
    const own = mkdtempSync(join(directory, `${messages}-`))
    chmodSync(own, 0o755)
    const source = [...benchMessages('small', Math.min(distinct, messages))]
    for (const peer of peers) {
      const store = peer === 'wherry' ? new WherryStore(join(own, 'wherry')) : new DovecotStore(peer as Format, own)
      console.log(`filling ${store.name} with ${messages} messages`)
      await store.fill(source, messages)
      if (store instanceof WherryStore && parts.includes('memory'))
        console.log(`Wherry, ${messages}: an open mailbox takes ${((await store.memory()) / 1e6).toFixed(1)} MB`)
      await measure(store, { repeat, evict }, (step, cost) => {
        console.log(`${store.name}, ${messages}: ${step} ${cost.wallMs.toFixed(1)} ms, CPU ${cost.cpuMs.toFixed(1)} ms`)
        figures.push({ step, store: store.name, messages, ...cost })
      })
      await store[Symbol.asyncDispose]()
    }
  }
  for (const messages of sizes) {
    const rows = medians(figures.filter((figure) => figure.messages === messages))
    console.log(`\nmailbox of ${messages} messages, medians of ${repeat}: ms of wall time, ms of CPU`)
    console.table(
      Object.fromEntries(
        Array.from(
          Map.groupBy(rows, ({ step }) => step),
          ([step, group]) => [
            step,
            Object.fromEntries(
              group.map(({ store, wallMs, cpuMs }) => [store, `${wallMs.toFixed(1)} (${cpuMs.toFixed(1)})`]),
            ),
          ],
        ),
      ),
    )
  }
}

function evict(): void {
  execFileSync('sync')
  writeFileSync('/proc/sys/vm/drop_caches', '1\n')
}

console.log(`Node ${process.version}, Dovecot ${needDovecot()}`)
if (parts.includes('deliver')) await measureDeliveries()
if (parts.includes('mailbox')) await measureMailboxes()
rmSync(directory, { recursive: true })
