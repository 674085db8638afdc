/**
 * What a login costs by how many users there are: in the embedded database, and in slapd. The same number of logins is made among few users and among many, in
 * turns, each user once.
 *
 *     node bench/auth-directory.ts [--few 100] [--many 100000] [--repeat 5] [--sources embedded,bind,compare] [--directory DIR]
 *
 * Needs slapd. `many` users in the embedded database are as many files.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { programArgs } from '#test/support/program-args.ts'
import { type Logins, logins } from './auth/imap-logins.ts'
import { embedded, inSlapd, type Population } from './auth/populations.ts'
import { median } from './store/figures.ts'

const { values } = programArgs({
  options: {
    few: { type: 'string', default: '100' },
    many: { type: 'string', default: '100000' },
    repeat: { type: 'string', default: '5' },
    sources: { type: 'string', default: 'embedded,bind,compare' },
    directory: { type: 'string', default: tmpdir() },
  },
})
const [few, many, repeat] = [Number(values.few), Number(values.many), Number(values.repeat)]
const directory = mkdtempSync(join(values.directory, 'bench-auth-'))

const populationOf = (source: string, count: number): Promise<Population> => {
  if (source === 'embedded') return embedded(directory, count)
  if (source === 'bind' || source === 'compare') return inSlapd(source, count)
  throw new Error(`${source} is none of embedded, bind, compare`)
}
/** Users all over the population. */
const chosen = (count: number): number[] => Array.from({ length: few }, (_, index) => Math.floor((index * count) / few))

interface Row {
  readonly population: Population
  readonly rounds: Logins[]
}

async function measure(source: string): Promise<readonly Row[]> {
  console.log(`${source}: making ${few} and ${many} users`)
  await using fewUsers = await populationOf(source, few)
  await using manyUsers = await populationOf(source, many)
  const rows = [fewUsers, manyUsers].map((population): Row => ({ population, rounds: [] }))
  for (let round = 0; round < repeat; round++)
    for (const { population, rounds } of round % 2 === 0 ? rows : rows.toReversed()) {
      const made = await logins(directory, population, chosen(population.users))
      rounds.push(made)
      console.log(`${population.source}, ${population.users} users: ${median(made.wallMs).toFixed(1)} ms`)
    }
  return rows
}

const figuresOf = ({ population, rounds }: Row) => {
  const each = (total: (round: Logins) => number) => median(rounds.map((round) => total(round) / round.wallMs.length))
  return {
    source: population.source,
    users: population.users,
    wallMs: median(rounds.map(({ wallMs }) => median(wallMs))),
    imapdMs: each(({ cpuMs }) => cpuMs.imapd),
    directoryMs: each(({ cpuMs }) => cpuMs.directory),
  }
}

try {
  const table = []
  for (const source of values.sources.split(',')) {
    const [less, more] = (await measure(source)).map(figuresOf)
    const ratio = (among: 'wallMs' | 'imapdMs' | 'directoryMs') =>
      less![among] === 0 ? '' : (more![among] / less![among]).toFixed(2)
    for (const row of [less!, more!])
      table.push({
        source: row.source,
        users: row.users,
        'ms a login': row.wallMs.toFixed(2),
        'CPU ms, imapd': row.imapdMs.toFixed(2),
        'CPU ms, slapd': row.directoryMs.toFixed(2),
        'times that of few: wall, imapd, slapd':
          row === more ? `${ratio('wallMs')} / ${ratio('imapdMs')} / ${ratio('directoryMs')}` : '',
      })
  }
  console.log(`\n${few} logins over IMAP, each user once; medians of ${repeat}`)
  console.table(table)
} finally {
  rmSync(directory, { recursive: true, force: true })
}
