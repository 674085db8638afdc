/** What work costs, in a way that holds on a busy machine: CPU time of this thread alone, the least of several runs, one size against another. */
import { readdirSync, readFileSync } from 'node:fs'

/** Microseconds. */
export const cpuMicros = async (work: () => unknown, runs = 5): Promise<number> => {
  let least = Infinity
  for (let run = 0; run < runs; run++) {
    const before = process.threadCpuUsage()
    await work()
    const { user, system } = process.threadCpuUsage(before)
    least = Math.min(least, user + system)
  }
  return least
}

/** Less can't be told from nothing. */
const noiseMicros = 1_000

/** How many times as much the greater work costs. Linear cost answers about the ratio of the sizes; tests leave it room, but less than its square. */
export const costRatio = async (less: () => unknown, more: () => unknown, runs?: number): Promise<number> => {
  await less()
  const one = await cpuMicros(less, runs)
  return (await cpuMicros(more, runs)) / Math.max(one, noiseMicros)
}

/** Milliseconds of the process and all below it, the ended ones too, user and system. proc(5); 0 for one that is gone. */
export const treeCpuMs = (pid: number): number => {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean)
    return children.reduce((sum, child) => sum + treeCpuMs(Number(child)), statCpuMs(`/proc/${pid}/stat`, 15))
  } catch {
    return 0
  }
}

/** Of each thread of a process. Throws when it is gone. */
export const threadsCpuMs = (pid: number) =>
  readdirSync(`/proc/${pid}/task`).map((thread) => ({
    name: readFileSync(`/proc/${pid}/task/${thread}/comm`, 'latin1').trim(),
    isMain: Number(thread) === pid,
    cpuMs: statCpuMs(`/proc/${pid}/task/${thread}/stat`, 13),
  }))

/** utime and stime, and up to field 15 those of children that ended; in hundredths of a second. */
const statCpuMs = (path: string, to: 13 | 15): number =>
  readFileSync(path, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ')
    .slice(11, to)
    .reduce((sum, field) => sum + Number(field) * 10, 0)
