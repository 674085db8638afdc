import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { systemClock } from '#src/base/clock.ts'
import type { Uid } from '#src/base/ids.ts'
import { createLog } from '#src/store/epochs.ts'
import { nodeFs } from '#src/store/fs.ts'
import { MailboxState } from '#src/store/mailbox-state.ts'
import { messageFileName } from '#src/store/message-file.ts'
import { operations } from '#src/store/operations.ts'
import { applyEntry } from '#src/store/replica.ts'
import { uniqueName } from '#src/store/unique.ts'

/** Gives a mailbox the log of one to which `count` messages were delivered, without their files; UIDs from 1, sizes 1000 and up. */
export async function plantMessages(directory: string, count: number): Promise<void> {
  const state = MailboxState.empty(systemClock, 1_700_000_000)
  const digest = createHash('sha256').digest('base64url')
  const additions = function* () {
    for (let uid = 1; uid <= count; uid += 1) {
      const internalDate = 1_700_000_000 + uid
      const file = messageFileName({
        internalDate,
        sizeOctets: 999 + uid,
        origin: undefined,
        unique: uniqueName(),
        digest,
      })
      yield operations.add({ file, flags: [], origin: undefined, uidl: undefined, uid: uid as Uid }, 0)
    }
  }
  await applyEntry(state, 1, additions())
  state.applied(1)
  await rm(`${directory}/log`, { recursive: true })
  await createLog(nodeFs, directory, state, 1)
}
