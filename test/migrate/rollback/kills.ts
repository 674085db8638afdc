/** A way back of which ms_syncd does not see the end at first. */
import { setTimeout as sleep } from 'node:timers/promises'
import { RawImap } from '../../support/raw-imap.ts'
import type { Done, Scene } from './scene.ts'

/** UIDs that Dovecot has spent: an expunge is no step back. */
const spentThere = async (imap: RawImap): Promise<number> => {
  const lines = await imap.command('LIST "" "*" RETURN (STATUS (UIDNEXT))')
  return lines.reduce((sum, { text }) => sum + Number(/UIDNEXT (\d+)/.exec(text)?.[1] ?? 0), 0)
}

/** Kills ms_syncd whenever `step` more messages have been put there, so often; msadm is given again until all is done. Answers how often it was killed, and the last answer. */
export const rollbackThroughKills = async (scene: Scene, user: string, kills: number, step: number) => {
  const { wherry, dovecot, msadm } = scene
  await using watcher = await RawImap.connect(dovecot.imapPort)
  await watcher.login(user, 'secret')
  let done = 0
  for (;;) {
    let isOver = false
    const running = msadm('--json', 'rollback', '-p', 'secret', user).finally(() => {
      isOver = true
    })
    for (let from = await spentThere(watcher); !isOver && done < kills; await sleep(2)) {
      const spent = await spentThere(watcher)
      const pids = wherry.pids('ms_syncd')
      if (spent < from + step || pids.length === 0) continue
      for (const pid of pids) process.kill(pid, 'SIGKILL')
      from = spent
      done++
    }
    // A request that breaks off is sent once more, as long as there is somebody soon; then msadm gives up.
    const { stdout } = await running
    if (stdout.includes('"state"')) return { kills: done, done: JSON.parse(stdout) as Done }
  }
}
