/**
 * Bugs that the proofs must find. Each is one replacement in the sources; the proofs then run against a copy that has it, and must go red.
 */

import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export interface PlantedBug {
  readonly name: string
  /** What it breaks: invariants of the store. */
  readonly breaks: string
  /** In `src/store`. */
  readonly file: string
  /** Text that occurs there exactly once, and what takes its place. */
  readonly text: string
  readonly replacement: string
}

const durable = 'durable before OK'
const nothing = 'nothing half-done is visible'

export const planted: readonly PlantedBug[] = [
  {
    name: 'a message file is not synced',
    breaks: durable,
    file: 'fs.ts',
    text: 'fs.open(path, newFile | O_DSYNC, fileMode',
    replacement: 'fs.open(path, newFile, fileMode',
  },
  {
    name: 'a large message file is not synced',
    breaks: durable,
    file: 'fs.ts',
    text: '      await fsync(this.fd)\n',
    replacement: '',
  },
  {
    name: 'a link to a copy is taken for its octets',
    breaks: durable,
    file: 'shared-message.ts',
    text: '      return await copy.durable\n',
    replacement: '      return\n',
  },
  {
    name: 'a file that a large message came into is not synced',
    breaks: durable,
    file: 'shared-message.ts',
    text: 'this.context.slots.run(() => poured.finish())',
    replacement: 'poured.written()',
  },
  {
    name: 'what was handed over before is not looked for',
    breaks: 'exactly once',
    file: 'handed.ts',
    text: 'of state.messages.chunks.toReversed()',
    replacement: 'of state.messages.chunks.slice(0, 0)',
  },
  {
    name: 'a short write is taken for a whole one',
    breaks: nothing,
    file: 'fs.ts',
    text: 'if (written === wanted) return done(null)',
    replacement: 'return done(null)',
  },
  {
    name: 'a sync that failed is tried again',
    breaks: durable,
    file: 'fs.ts',
    text: 'fs.fsync(fd, settle(resolve, reject))',
    replacement: 'fs.fsync(fd, (error) => (error ? fs.fsync(fd, settle(resolve, reject)) : resolve()))',
  },
  {
    name: 'the folder of the message files is not synced',
    breaks: durable,
    file: 'new-files.ts',
    text: 'named.then(() => fs.syncDirectory(folder))',
    replacement: 'named.then(() => {})',
  },
  {
    name: 'the folder of the message files is synced before the names are there',
    breaks: durable,
    file: 'new-files.ts',
    text: 'named.then(() => fs.syncDirectory(folder))',
    replacement: 'fs.syncDirectory(folder)',
  },
  {
    name: 'a change set is linked before the files that it names are durable',
    breaks: durable,
    file: 'new-files.ts',
    text: 'allDone([files.durable, synced(files.folder)])',
    replacement: 'synced(files.folder)',
  },
  {
    name: 'the folder of the log is not synced',
    breaks: durable,
    file: 'commit-log.ts',
    text: '      await fs.syncDirectory(epochs.pathOf(epoch))\n',
    replacement: '',
  },
  {
    name: 'acknowledged before it is committed',
    breaks: durable,
    file: 'commit-log.ts',
    text: 'if (!(await this.put(written.path, written.pieces))) {',
    replacement:
      'void this.put(written.path, written.pieces).catch(() => {})\n        if (written.pieces.length === 0) {',
  },
  {
    name: 'EEXIST is taken for the truth',
    breaks: 'exactly once',
    file: 'commit-log.ts',
    text: 'if (there === undefined || !there.equals(Buffer.concat(pieces))) {',
    replacement: 'if (there === undefined || there.length > 0) {',
  },
  {
    name: 'a failed link is taken for a success',
    breaks: durable,
    file: 'commit-log.ts',
    text: 'if (there === undefined || !there.equals(Buffer.concat(pieces))) {',
    replacement: 'if (there === undefined && pieces.length === 0) {',
  },
  {
    name: 'announced before it is synced',
    breaks: durable,
    file: 'log-reader.ts',
    text: 'if ((await unlessAbsent(sync)) === undefined) continue',
    replacement: 'void sync.catch(() => {})',
  },
  {
    name: 'a new epoch is not synced by who finds it',
    breaks: durable,
    file: 'log-reader.ts',
    text: 'await this.context.fs.syncDirectory(`',
    replacement: 'void (`',
  },
  {
    name: 'an epoch begins with the number of the seal',
    breaks: 'UIDs and MODSEQ only grow',
    file: 'log-reader.ts',
    text: 'start: at.number + 2',
    replacement: 'start: at.number + 1',
  },
  {
    name: 'a change is committed after a seal',
    breaks: 'MODSEQ is a true order',
    file: 'log-reader.ts',
    text: "        if (entry.kind === 'change') await at.goOver(entry.body)\n",
    replacement:
      "        if (entry.kind === 'change') await at.goOver(entry.body)\n        else if (entry.kind === 'seal') {\n          at.number += 1\n          return at\n        }\n",
  },
  {
    name: 'a new epoch begins without what came while its base was written',
    breaks: durable,
    file: 'epoch-cut.ts',
    text: "await epochs.complete(epoch, prepared!, next, 'state', passed.entries)",
    replacement: "await epochs.complete(epoch, prepared!, next, 'state', [])",
  },
  {
    name: 'the present epoch is removed with the old ones',
    breaks: durable,
    file: 'epochs.ts',
    text: '.filter(({ start }) => start < epoch.start)\n    const old = before.slice(0, -1)\n    for',
    replacement: '.filter(({ start }) => start <= epoch.start)\n    const old = before\n    for',
  },
  {
    name: 'a new mailbox is not synced',
    breaks: durable,
    file: 'mailbox-directory.ts',
    text: '  await fs.syncDirectory(parent)\n',
    replacement: '',
  },
  {
    name: 'UIDNEXT is one above the highest UID',
    breaks: 'UIDs only grow',
    file: 'mailbox-state.ts',
    text: '    this.uidNext = this.nextUid\n',
    replacement:
      '    this.uidNext = this.nextUid\n    if (this.isTableChanged) this.uidNext = this.nextUid = ((this.table.list().at(-1)?.lastUid ?? 0) + 1) as Uid\n',
  },
  {
    name: 'a UID that is kept free for a message is given to another one',
    breaks: 'UIDs mean what the old server said',
    file: 'mailbox-plans.ts',
    text: '(Math.max(this.nextUid, this.keptBelow) as Uid)',
    replacement: 'this.nextUid',
  },
  {
    name: 'what is kept free is forgotten at a cut',
    breaks: 'UIDs mean what the old server said',
    file: 'mailbox-state.ts',
    text: '(head.keptBelow ?? 1)',
    replacement: '1',
  },
  {
    name: 'an origin is not looked for',
    breaks: 'exactly once',
    file: 'mailbox-state.ts',
    text: 'if (known !== undefined) {',
    replacement: 'if (known !== undefined && uid === 0) {',
  },
  {
    name: 'origins that left are forgotten at a cut',
    breaks: 'exactly once',
    file: 'mailbox-image.ts',
    text: 'departedRows(parts.departed.entries())',
    replacement: 'departedRows([])',
  },
  {
    name: 'an expunge leaves no trace',
    breaks: 'EXPUNGE leaves a trace',
    file: 'mailbox-state.ts',
    text: 'this.history.expunged(uid, modSeq)',
    replacement: '',
  },
  {
    name: 'MODSEQ is not raised by a change of flags',
    breaks: 'MODSEQ is a true order',
    file: 'message-table.ts',
    text: 'modSeqs.fill(modSeq, first, behind)',
    replacement: 'modSeqs.fill(modSeqs[first]!, first, behind)',
  },
  {
    name: 'a conditional change is not conditional',
    breaks: 'RFC 7162 §3.1.3',
    file: 'flag-change.ts',
    text: '(isTouched && isConditional) || modSeqs[row]! > since',
    replacement: 'isTouched && modSeqs[row]! > since',
  },
  {
    name: 'MOVE expunges the source first',
    breaks: 'a crash leaves a duplicate, never a hole',
    file: 'mailbox.ts',
    text: '    const result = await this.copyTo(uids, target, options)\n',
    replacement:
      "    const known = new Map(sortedUids(uids).map((uid) => [uid, this.byUid(uid)]))\n    const source = { id: this.id, directory: this.directory, byUid: (uid: Uid) => known.get(uid) } as OpenMailbox\n    await this.expunge(uids, 'client')\n    const result = await copyMessages(this.context, source, uids, target as OpenMailbox, options)\n",
  },
  {
    name: 'what is brought back is committed before its file has a durable name',
    breaks: durable,
    file: 'undelete.ts',
    text: `      files: { folder: \`\${directory}/msg\` },\n`,
    replacement: '',
  },
  {
    name: 'what is brought back loses both names of its file',
    breaks: 'nothing is lost',
    file: 'undelete.ts',
    text: 'mailbox.removeFilesLater(chosen.map((index) => messages[index]!.file))',
    replacement: 'await remove(chosen)',
  },
  {
    name: 'an expunged message can be brought back twice',
    breaks: 'exactly once',
    file: 'undelete.ts',
    text: 'return [...mailbox.plans.additions(additions), operations.purge(chosen.map((index) => messages[index]!.uid))]',
    replacement: 'return mailbox.plans.additions(additions)',
  },
  {
    name: 'a removed mailbox is given up when its rename is reported as failed',
    breaks: 'nothing is lost',
    file: 'removed-mailboxes.ts',
    text: `if ((await unlessAbsent(fs.status(\`\${at}/log\`))) === undefined) {\n        await removeTree`,
    replacement: 'if (at.length > 0) {\n        await removeTree',
  },
  {
    name: 'a mailbox is restored before its message files are durable',
    breaks: durable,
    file: 'removed-mailboxes.ts',
    text: `    await fs.syncDirectory(\`\${directory}/msg\`)\n    try {\n`,
    replacement: '    try {\n',
  },
  {
    name: 'a restored mailbox is taken for durable before it is',
    breaks: durable,
    file: 'removed-mailboxes.ts',
    text: '    await fs.syncDirectory(directory)\n    await fs.syncDirectory(at)\n    await removeTree(fs, at)\n',
    replacement: '    await removeTree(fs, at)\n',
  },
  {
    name: 'an account is moved before its copy is synced',
    breaks: durable,
    file: 'mirror.ts',
    text: '    if (changes > 0 || thorough) await fs.syncDirectory(to)\n',
    replacement: '',
  },
  {
    name: 'an account whose move was interrupted is not put back',
    breaks: 'nothing is lost',
    file: 'places.ts',
    text: "    for (const attempt of attempts) {\n      if (!attempt.has.has('frozen')) continue\n",
    replacement: '    for (const attempt of attempts) {\n      if (attempt.id.length > 0) continue\n',
  },
]

const root = resolve(import.meta.dirname, '../../..')
/** A proof that doesn't end has not found the bug. */
const longestMs = 900_000

const sourceOf = (bug: PlantedBug) => readFileSync(join(root, 'src/store', bug.file), 'utf8')

/** How often its text occurs in its file: once, unless somebody changed the line. */
export function occurrences(bug: PlantedBug): number {
  return sourceOf(bug).split(bug.text).length - 1
}

/** Which check found the bug; undefined when none did. Throws when its text is not there exactly once. */
export async function tryPlanted(bug: PlantedBug): Promise<string | undefined> {
  const count = occurrences(bug)
  if (count !== 1)
    throw new Error(`planted bug "${bug.name}" is out of date: its text occurs ${count} times in src/store/${bug.file}`)
  const copy = mkdtempSync(join(tmpdir(), 'wherry-planted-'))
  try {
    for (const part of ['src', 'test/store', 'test/support', 'package.json'])
      cpSync(join(root, part), join(copy, part), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
    writeFileSync(
      join(copy, 'src/store', bug.file),
      sourceOf(bug).replace(bug.text, () => bug.replacement),
    )
    return await firstViolation(copy)
  } finally {
    rmSync(copy, { recursive: true })
  }
}

function firstViolation(copy: string): Promise<string | undefined> {
  const proof = ['test/store/proof/prove.ts', '--scale=0.01', '--no-kills', '--no-planted']
  const child = spawn(process.execPath, proof, { cwd: copy, stdio: ['ignore', 'pipe', 'pipe'], timeout: longestMs })
  let output = ''
  child.stdout.on('data', (octets: Buffer) => {
    output += octets.toString()
  })
  child.stderr.resume()
  return new Promise((done, failed) => {
    child.on('error', failed)
    child.on('close', () => done(/^violation of (.*)$/m.exec(output)?.[1]))
  })
}
