/**
 * Moves an account to another root while it is in use. Most of it is copied while everybody works on; then the account is frozen: one rename takes it
 * out of reach, so that nothing can be acknowledged any more, the rest is copied, and one rename decides. Sessions lose their mailboxes
 * at the freeze and find everything as it was when they come back. places.ts tells the steps, and who heals them after a crash.
 */

import { StoreError } from '../base/errors.ts'
import type { UserId } from '../base/ids.ts'
import type { StoreContext } from './context.ts'
import { codeOf, unlessAbsent } from './fs.ts'
import { Leavings } from './leavings.ts'
import { parseMessageFileName } from './message-file.ts'
import { Mirror } from './mirror.ts'
import { accountDirectory } from './names.ts'
import type { Places } from './places.ts'
import { makeIfAbsent } from './tree.ts'
import type { MoveOptions, MoveProgress, MoveResult } from './types.ts'
import { uniqueName } from './unique.ts'

/** Signs of life within the silence after which a mover counts as dead. */
const beats = 18
/** Few enough to be copied while nobody can use the account. */
const fewChanges = 50
/** Passes before the freeze: somebody who writes faster than can be copied has to be stopped. */
const maxPasses = 4
const maxFrozenPasses = 4

export async function moveAccount(
  context: StoreContext,
  places: Places,
  userId: UserId,
  target: string,
  options: MoveOptions = {},
): Promise<MoveResult> {
  const to = places.partitions.rootAt(target, 'the target')
  const from = await places.find(userId)
  if (from === undefined) throw new StoreError('not-found', `${userId} has no mail here`)
  if (from === to) throw new StoreError('already-exists', `${userId} is in ${to} already`)
  await places.partitions.needAll()
  const move = new AccountMove(context, places, { userId, from, to }, options)
  return await move.run()
}

interface Way {
  readonly userId: UserId
  readonly from: string
  readonly to: string
}

class AccountMove {
  private readonly context: StoreContext
  private readonly places: Places
  private readonly way: Way
  private readonly options: MoveOptions
  private readonly account: string
  private readonly id = uniqueName()
  private readonly source: string
  private readonly frozen: string
  private readonly copyFolder: string
  private mirror: Mirror
  private progress: MoveProgress = { phase: 'counting', files: 0, octets: 0, ofFiles: 0, ofOctets: 0 }

  constructor(context: StoreContext, places: Places, way: Way, options: MoveOptions) {
    this.context = context
    this.places = places
    this.way = way
    this.options = options
    this.account = accountDirectory(way.userId)
    this.source = `${way.from}/${this.account}`
    this.frozen = `${places.pathOf(way.from, this.account, this.id)}/frozen`
    this.copyFolder = places.pathOf(way.to, this.account, this.id)
    this.mirror = new Mirror(context, this.source, `${this.copyFolder}/tree`, this.copyFolder, {
      digests: options.verify === true,
      signal: options.signal,
      onFile: (octets) => this.tell({ files: this.progress.files + 1, octets: this.progress.octets + octets }),
    })
  }

  async run(): Promise<MoveResult> {
    const { clock } = this.context
    const { from, to } = this.way
    const beating = new AbortController()
    try {
      await this.beginCopy()
      void this.beat(beating.signal)
      await this.copyMost()
      const frozenAt = clock.monotonic()
      await this.freeze()
      const frozenMs = await this.whileFrozen(async () => {
        await this.copyRest()
        await this.decide()
        return clock.monotonic() - frozenAt
      })
      this.tell({ phase: 'removing' })
      await this.places.finish(this.account, { root: from, id: this.id })
      beating.abort()
      await new Leavings(this.context).removeGone(from, await this.context.fs.list(from))
      const { files, octets, damaged } = this.mirror
      return { from, to, files, octets, damaged, frozenMs }
    } catch (error) {
      // So that nobody waits until this mover counts as dead.
      await this.context.fs.append(`${this.copyFolder}/ended`, Buffer.alloc(0)).catch(() => {})
      throw error
    } finally {
      beating.abort()
    }
  }

  /** The folder for the copy; with what a mover that died had copied, if there is such. */
  private async beginCopy(): Promise<void> {
    const { fs } = this.context
    const { account, places } = this
    const { to, userId } = this.way
    const copies = (await places.attempts(account)).filter(({ has }) => has.has('tree') && !has.has('left'))
    for (const copy of copies)
      if (await places.isAlive(account, copy))
        throw new StoreError(
          'in-use',
          `${userId} is being moved by somebody else, who was heard of in the last ${Math.round(places.silenceMs / 1000)} s`,
        )
    await places.enter(to, account, this.id)
    await fs.append(`${this.copyFolder}/beat`, Buffer.alloc(0))
    for (const { root, id } of copies) {
      const tree = `${places.pathOf(root, account, id)}/tree`
      if (root === to) await fs.rename(tree, `${this.copyFolder}/tree`).catch(ignoreTaken)
      await places.putAway(root, tree)
      await places.leave(root, account, id)
    }
    await makeIfAbsent(fs, `${this.copyFolder}/tree`)
    await fs.syncDirectory(this.copyFolder)
  }

  private async copyMost(): Promise<void> {
    await this.count(this.source)
    this.tell({ phase: 'copying' })
    let changes = await this.mirror.pass({ thorough: true })
    for (let pass = 2; pass <= maxPasses && changes > fewChanges; pass += 1) {
      this.tell({ files: 0, octets: 0 })
      changes = await this.mirror.pass({ thorough: false })
    }
  }

  /** Takes the turn, and the account out of everybody's reach. */
  private async freeze(): Promise<void> {
    const { fs } = this.context
    const { account, places, id } = this
    const { from, userId } = this.way
    this.options.signal?.throwIfAborted()
    const folder = await places.enter(from, account, id)
    await fs.append(`${folder}/beat`, Buffer.alloc(0))
    try {
      while (!(await places.claim(account, id))) await places.contend(userId, account)
      try {
        await fs.rename(this.source, this.frozen)
      } catch (error) {
        // Network file systems may call their own success a failure.
        if ((await unlessAbsent(fs.status(this.frozen))) === undefined) {
          if (codeOf(error) !== 'ENOENT') throw error
          throw new StoreError('not-found', `${userId} was removed, or moved by somebody else, meanwhile`)
        }
      }
    } catch (error) {
      await places.leave(from, account, id)
      await places.release(account, id)
      throw error
    }
  }

  /** Puts the account back when the work fails, unless it was decided. */
  private async whileFrozen<T>(work: () => Promise<T>): Promise<T> {
    const { from } = this.way
    try {
      await this.context.fs.syncDirectory(this.places.pathOf(from, this.account, this.id))
      await this.context.fs.syncDirectory(from)
      return await work()
    } catch (error) {
      await this.places.rollBack(this.account, { root: from, id: this.id })
      throw error
    }
  }

  private async copyRest(): Promise<void> {
    const { clock } = this.context
    this.tell({ phase: 'frozen', files: 0, octets: 0 })
    if (this.options.waitMs !== undefined) await clock.sleep(this.options.waitMs, this.options.signal)
    this.mirror = this.mirror.from(this.frozen)
    for (let pass = 1; (await this.mirror.pass({ thorough: false })) > 0; pass += 1) {
      if (pass === maxFrozenPasses)
        throw new StoreError(
          'unavailable',
          `${this.frozen} is changed by something else than the services; see by what`,
        )
      this.tell({ files: 0, octets: 0 })
    }
    await this.context.fs.syncDirectory(this.copyFolder)
  }

  private async decide(): Promise<void> {
    const { fs } = this.context
    const folder = this.places.pathOf(this.way.from, this.account, this.id)
    const left = `${folder}/left`
    try {
      await fs.rename(this.frozen, left)
    } catch (error) {
      if ((await unlessAbsent(fs.status(left))) === undefined) {
        if (codeOf(error) !== 'ENOENT') throw error
        throw new StoreError('unavailable', 'The move took too long and was undone by somebody who needed the account')
      }
    }
  }

  /** What is to be copied, by the names of the messages. */
  private async count(directory: string): Promise<void> {
    const isMessages = directory.endsWith('/msg')
    for (const { name, isDirectory } of (await unlessAbsent(this.context.fs.list(directory))) ?? []) {
      if (isDirectory) {
        if (name !== 'tmp' && name !== 'cache') await this.count(`${directory}/${name}`)
        continue
      }
      const octets = isMessages ? (parseMessageFileName(name)?.sizeOctets ?? 0) : 0
      this.progress = {
        ...this.progress,
        ofFiles: this.progress.ofFiles + 1,
        ofOctets: this.progress.ofOctets + octets,
      }
    }
    this.tell({})
  }

  /** Tells everybody that this mover lives. A beat that fails is only one that was not heard. */
  private async beat(signal: AbortSignal): Promise<void> {
    const { clock, fs } = this.context
    const folders = [this.copyFolder, this.places.pathOf(this.way.from, this.account, this.id)]
    try {
      for (;;) {
        await clock.sleep(this.places.silenceMs / beats, signal)
        for (const folder of folders) await fs.append(`${folder}/beat`, Buffer.alloc(1)).catch(() => {})
      }
    } catch {
      // The end of the move.
    }
  }

  private tell(change: Partial<MoveProgress>): void {
    this.progress = { ...this.progress, ...change }
    this.options.onProgress?.(this.progress)
  }
}

function ignoreTaken(error: unknown): void {
  if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')) throw error
}
