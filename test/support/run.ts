/** `npm test`: peers, then the static checks, then every test. The last line is `N passed, N failed`. */
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { ensurePeers } from './peers.ts'

const root = resolve(import.meta.dirname, '../..')

try {
  ensurePeers()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(2)
}
const check = spawnSync('npm', ['run', '--silent', 'check'], { cwd: root, stdio: 'inherit' })
if (check.status !== 0) {
  console.log('\n0 passed, 1 failed')
  process.exit(1)
}
const tests = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
})
process.exitCode = tests.status ?? 1
