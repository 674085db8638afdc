import { systemClock } from '../../../base/clock.ts'
import { StoreError } from '../../../base/errors.ts'
import type { UserId } from '../../../base/ids.ts'
import { silentLog } from '../../../base/log.ts'
import { deliver as deliverTo } from '../../../delivery/deliver.ts'
import type { Fate, Recipient } from '../../../delivery/types.ts'
import { delivererOf, openTrack } from '../../../server/delivery.ts'
import { createFilter } from '../../../server/filter.ts'
import { findSharedAddress, type SharedAddress } from '../../../sharing/delivery-address.ts'
import { sharingOf } from '../../../sharing/sharing.ts'
import { sharedFoldersPrefix } from '../../../sharing/trees.ts'
import { type Command, CommandError, type Context, canonical, onlyUserId, readArguments } from '../command.ts'
import { isGivenBack } from '../migration-records.ts'

/** sysexits.h: what mail servers understand. */
const noUser = 67
const tryAgain = 75
const refused = 77

export const deliver: Command = {
  name: 'deliver',
  usage: 'deliver [-f sender] userid|address',
  summary: 'puts the message on standard input into the mail of a user, for the pipe transport of a mail server',
  details:
    '  -f sender    who sent it (MAIL FROM), for Sieve scripts: without one there are no vacation replies, and redirected messages have no sender\n' +
    '  The address of a shared root, archive@example.org, puts it there; archive+leads/john@example.org into the mailbox leads/john below it, if there is one.\n' +
    '  Exit status 67: no such user; 75: to be tried again later (also when the old server has the account again); 77: a Sieve script refuses it, or the user is over quota and over_quota_temp_error is false.\n' +
    '  What Sieve scripts send waits for a running lmtpd (msadm queue).\n' +
    '  A message that ms_syncd fetched and submitted (smtp_injection) gets its old place and is shown once.',
  run: async (args, context) => {
    const { values, positionals } = readArguments(args, { f: { type: 'string', short: 'f' } })
    const given = onlyUserId(positionals)
    const sender = values.f?.replace(/^<|>$/g, '') ?? ''
    const shared = findSharedAddress(sharingOf(context.config), given)
    if (shared !== undefined) return await inSharedFolder(given, shared, sender, context)
    const userId = canonical(given, context)
    const account = context.store().account(userId)
    const exists = await account.exists().catch((error: unknown) => {
      if (error instanceof StoreError) throw new CommandError(error.message, tryAgain)
      throw error
    })
    if (!exists) throw new CommandError(`${userId} has no mail here`, noUser)
    await needHere(userId, context)
    const fate = await handOver(context, sender, {
      address: given,
      userId,
      account,
      mailbox: 'INBOX',
      adding: (octets, work) => context.quotas.adding(account, { octets, messages: 1 }, work),
    })
    if (fate.kind === 'duplicate')
      context.print(`${fate.mailbox}: a message that is there`, { userId, mailbox: fate.mailbox, repeated: true })
    if (fate.kind !== 'stored') return
    for (const { mailbox, uid } of fate.places) context.print(`${mailbox}: ${uid}`, { userId, mailbox, uid })
  },
}

/** docs/decisions/0276-the-way-back.md: nobody would see it here. Throws CommandError. */
async function needHere(userId: UserId, context: Context): Promise<void> {
  const { accounts, config } = context
  if (!config.get('auto_migrate') || (await accounts.find(userId))?.state !== 'migrating') return
  const isElsewhere = await isGivenBack(userId, context).catch((error: Error) => {
    throw new CommandError(`it is not known where the mail of ${userId} is: ${error.message}`, tryAgain)
  })
  if (isElsewhere)
    throw new CommandError(`the old server has the account of ${userId} again: deliver its mail there`, tryAgain)
}

/** LMTP-10. No quota counts it: SHR-09 */
async function inSharedFolder(
  address: string,
  { tree, mailbox }: SharedAddress,
  sender: string,
  context: Context,
): Promise<void> {
  const name = sharedFoldersPrefix + tree.name
  const account = context.store().tree(name, tree.directory)
  const fate = await handOver(context, sender, {
    address,
    userId: undefined,
    account,
    mailbox,
    adding: (_, work) => work(),
  })
  if (fate.kind !== 'stored') return
  for (const { mailbox: placed, uid } of fate.places) {
    const full = placed === 'INBOX' ? name : `${name}/${placed}`
    context.print(`${full}: ${uid}`, { mailbox: full, uid })
  }
}

/** Throws CommandError for a message that is not stored. */
async function handOver(
  context: Context,
  sender: string,
  recipient: Omit<Recipient, 'parameters' | 'detail'>,
): Promise<Fate> {
  const parts = { config: () => context.config, store: context.store(), clock: systemClock, log: silentLog }
  const track = openTrack(parts)
  try {
    const whole: Recipient = { ...recipient, parameters: new Map(), detail: undefined }
    const { filter } = createFilter({ ...parts, config: context.config, accounts: context.accounts, track })
    const deliverer = delivererOf(parts, track, filter)
    const fate = await deliverTo(deliverer, whole, context.input, { clock: systemClock, sender })
    if (fate.kind === 'refused') throw new CommandError(fate.text, refused)
    // QUO-06, LMTP-04
    if (fate.kind === 'failed') throw new CommandError(fate.text, fate.reply < 500 ? tryAgain : refused)
    return fate
  } finally {
    await track.close()
  }
}
