/**
 * Where the tests make their files: in memory, where it holds them. A disk's time for the creation and removal of hundreds of
 * thousands of small files is not what they test; `npm run prove:store` and the other long forms go to the disk. TMPDIR, when set,
 * is left alone. Decision 3
 */
import { accessSync, chmodSync, constants, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const memory = '/dev/shm'
const wantedOctets = 4 * 2 ** 30

/** Vitest's global set-up; answers the way back. */
export default function scratch(): (() => void) | undefined {
  if (process.env.TMPDIR !== undefined || !hasRoom()) return undefined
  const directory = mkdtempSync(join(memory, 'wherry-tests-'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  if (!runsPrograms(directory)) {
    remove()
    return undefined
  }
  chmodSync(directory, 0o1777)
  process.env.TMPDIR = directory
  return remove
}

function hasRoom(): boolean {
  try {
    const { bsize, bavail } = statfsSync(memory)
    return bsize * bavail >= wantedOctets
  } catch {
    return false
  }
}

/** Some tests write programs for others to run, which a mount may forbid. */
function runsPrograms(directory: string): boolean {
  const program = join(directory, 'program')
  writeFileSync(program, '', { mode: 0o755 })
  try {
    accessSync(program, constants.X_OK)
    return true
  } catch {
    return false
  }
}
