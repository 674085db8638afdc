/**
 * Commands in a system of their own: `/etc`, `/var`, `/run` and the network are copies that end with them, and so do all processes. For what is only true at the
 * usual places, and as root, who may make namespaces.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What the shell script said, stdout and stderr together. Throws with all of it when a command fails. */
export function inOwnSystem(script: string): string {
  if (process.getuid?.() !== 0)
    throw new Error('Tests with a system of their own make mounts: run them as root, as CI does')
  const copies = mkdtempSync(join(tmpdir(), 'system-'))
  const setup = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs ${copies}
for directory in etc var; do
  mkdir -p ${copies}/$directory/{upper,work}
  mount -t overlay overlay -o lowerdir=/$directory,upperdir=${copies}/$directory/upper,workdir=${copies}/$directory/work /$directory
done
mount -t tmpfs tmpfs /run
ip link set lo up
`
  try {
    const order = [
      '--mount',
      '--net',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'bash',
      '-c',
      `exec 2>&1\n${setup}${script}`,
    ]
    const { status, signal, stdout } = spawnSync('unshare', order, {
      encoding: 'utf8',
      timeout: 120_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (status !== 0) throw new Error(`ended with ${signal ?? status}:\n${stdout}`)
    return stdout
  } finally {
    rmSync(copies, { recursive: true, force: true })
  }
}
