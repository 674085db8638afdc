/**
 * Sieve beside Pigeonhole in the same run: `npm run bench:sieve -- --messages 2000 --repeat 3`. Scripts: Pigeonhole's `sievec` compiles a directory of them in one process; ours compiles the same
 * files one after the other, in this process (what is remembered of compiled scripts is left out). Messages: `sieve-filter` runs a compiled script on a maildir; ours reads the same files and runs
 * the same script on each. Both keep every message: the last rule is the only one that fits. Processor seconds are told beside the time.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compile } from '#src/sieve/compile.ts'
import { messageInMemory } from '#src/sieve/in-memory.ts'
import { run } from '#src/sieve/run.ts'
import { median } from './measure.ts'
import { benchMessages } from './messages.ts'

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '2000' },
    repeat: { type: 'string', default: '3' },
  },
})
const count = Number(values.messages)
const repeat = Number(values.repeat)

/** What people have: lists by their List-Id, people by their address, words in subjects. */
function rules(number: number): string {
  const lines = ['require ["fileinto", "imap4flags", "variables", "relational", "comparator-i;ascii-numeric"];']
  for (let index = 0; index < number; index++) {
    const condition = [
      `header :contains "list-id" "list${index}.example.org"`,
      `address :is "from" "person${index}@example.net"`,
      `anyof (header :contains ["subject", "comments"] ["project ${index}", "ticket ${index}"], address :domain :is ["to", "cc"] "team${index}.example.com")`,
      `header :matches "subject" "[issue ${index}-*] *"`,
      `allof (size :over 100M, header :value "gt" :comparator "i;ascii-numeric" "x-priority" "${index}")`,
    ][index % 5]!
    lines.push(`if ${condition} { addflag "$Filed"; fileinto "folder ${index}"; stop; }`)
  }
  return `${lines.join('\r\n')}\r\nkeep;\r\n`
}

interface Measured {
  readonly seconds: number
  readonly cpu: number
}

function ofProcess(command: string, args: readonly string[]): Measured {
  const cpuBefore = process.resourceUsage()
  const times = join(directory, 'times')
  const start = performance.now()
  const { status, stderr } = spawnSync('bash', [
    '-c',
    `TIMEFORMAT='%U %S'; { time ${[command, ...args].map((word) => `'${word}'`).join(' ')} >'${directory}/out' 2>&1 ; } 2>'${times}'`,
  ])
  if (status !== 0)
    throw new Error(
      `${command} ended with ${status}: ${stderr}${readFileSync(join(directory, 'out'), 'utf8').slice(0, 2000)} ${cpuBefore.maxRSS}`,
    )
  const [user = 0, system = 0] = readFileSync(times, 'utf8').trim().split('\n').at(-1)!.split(' ').map(Number)
  return { seconds: (performance.now() - start) / 1000, cpu: user + system }
}

async function ofOurs(work: () => Promise<void>): Promise<Measured> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work()
  const { user, system } = process.cpuUsage(cpu)
  return { seconds: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 }
}

function tell(what: string, number: number, ours: readonly Measured[], theirs: readonly Measured[]): void {
  const rate = (list: readonly Measured[]) => number / median(list.map(({ seconds }) => seconds))
  const cpu = (list: readonly Measured[]) => (median(list.map((one) => one.cpu)) / number) * 1e6
  console.log(
    `${what}: Wherry ${rate(ours).toFixed(0)}/s (${cpu(ours).toFixed(0)} µs of processor each), Pigeonhole ${rate(theirs).toFixed(0)}/s (${cpu(theirs).toFixed(0)} µs); ${(rate(ours) / rate(theirs)).toFixed(2)} times`,
  )
}

const directory = mkdtempSync(join(tmpdir(), 'wherry-bench-sieve-'))
const isRoot = process.getuid?.() === 0
const own = (path: string) => {
  chmodSync(path, 0o777)
  if (isRoot) chownSync(path, 65534, 65534)
}
try {
  own(directory)
  const cur = join(directory, 'mail/cur')
  for (const part of ['mail', 'mail/cur', 'mail/new', 'mail/tmp']) {
    mkdirSync(join(directory, part))
    own(join(directory, part))
  }
  let number = 0
  for (const octets of benchMessages('mixed', count)) {
    const path = join(cur, `1200000000.${String(number++).padStart(6, '0')}.bench:2,`)
    writeFileSync(path, octets)
    own(path)
  }
  const config = join(directory, 'dovecot.conf')
  const owner = isRoot ? ['mail_uid = nobody', 'mail_gid = nogroup'] : []
  writeFileSync(
    config,
    [
      `base_dir = ${directory}/base`,
      `mail_location = maildir:${directory}/mail`,
      `mail_home = ${directory}`,
      ...owner,
      'first_valid_uid = 1',
      'ssl = no',
      'log_path = /dev/null',
      '',
    ].join('\n'),
  )
  for (const [size, scripts] of [
    [5, 400],
    [100, 100],
    [1000, 20],
  ] as const) {
    const place = join(directory, `scripts-${size}`)
    mkdirSync(place)
    own(place)
    for (let index = 0; index < scripts; index++) {
      const path = join(place, `${index}.sieve`)
      writeFileSync(path, rules(size).replace('keep;', `# ${index}\r\nkeep;`))
      own(path)
    }
    const [ours, theirs]: [Measured[], Measured[]] = [[], []]
    for (let round = 0; round < repeat; round++) {
      theirs.push(ofProcess('sievec', ['-c', config, place]))
      ours.push(
        await ofOurs(async () => {
          for (const name of readdirSync(place).filter((entry) => entry.endsWith('.sieve'))) {
            const compiled = compile(readFileSync(join(place, name)))
            if ('errors' in compiled) throw new Error(compiled.errors[0]!.text)
          }
        }),
      )
    }
    tell(`scripts of ${size} rules`, scripts, ours, theirs)
    const script = join(place, '0.sieve')
    const compiled = compile(readFileSync(script))
    if ('errors' in compiled) throw new Error(compiled.errors[0]!.text)
    const [ourRuns, theirRuns]: [Measured[], Measured[]] = [[], []]
    for (let round = 0; round < repeat; round++) {
      theirRuns.push(ofProcess('sieve-filter', ['-c', config, '-e', script, 'INBOX']))
      ourRuns.push(
        await ofOurs(async () => {
          for (const name of readdirSync(cur)) {
            const message = messageInMemory(readFileSync(join(cur, name)), {
              from: 'a@example.org',
              to: 'b@example.org',
            })
            const { actions, error } = await run([compiled.script], message, { now: Date.now() })
            if (error !== undefined || actions[0]?.type !== 'keep') throw new Error(error?.text ?? 'not kept')
          }
        }),
      )
    }
    tell(`messages through ${size} rules`, count, ourRuns, theirRuns)
  }
} finally {
  rmSync(directory, { recursive: true })
}
