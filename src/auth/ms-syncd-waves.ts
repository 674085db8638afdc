/** What ms_syncd is asked and told about waves of migrations, over the event bus: `{type: 'wave', verb, …}`. docs/mpp.md */
import type { ToldRisk } from './migration-questions.ts'

export type WaveState =
  | 'created'
  | 'inventory'
  | 'counted'
  | 'pull'
  | 'pulled'
  | 'delta'
  | 'cutover'
  | 'watch'
  | 'paused'
  | 'closed'

export type WaveMemberRequest = {
  /** As the operator wrote it. */
  readonly given: string
  readonly userId: string
  /** Base64 of the octets; missing: it is not known, or stays as it is. */
  readonly password?: string
  readonly priority?: number
  readonly properties: readonly (readonly [name: string, value: string])[]
}

export type WaveLimitsRequest = { readonly atOnce?: number; readonly perHost?: number; readonly accountMb?: number }

export type WaveRequest = { readonly type: 'wave' } & (
  | { readonly verb: 'list' }
  /** Whether these can be members: the answer has `faults` by user id. Nothing is changed. */
  | { readonly verb: 'check'; readonly name: string; readonly userIds: readonly string[] }
  /** Makes the wave where there is none. Those who are members already get what is new here. */
  | { readonly verb: 'add'; readonly name: string; readonly members: readonly WaveMemberRequest[] }
  | { readonly verb: 'inventory'; readonly name: string }
  /** Of members from place `from` on; an answer has `next` where there are more. */
  | { readonly verb: 'plan'; readonly name: string; readonly from?: number }
  | { readonly verb: 'start'; readonly name: string; readonly first?: number }
  | { readonly verb: 'delta'; readonly name: string }
  /** Milliseconds, since 1970 and between two rounds. */
  | { readonly verb: 'cutover'; readonly name: string; readonly closing?: number; readonly everyMs?: number }
  | { readonly verb: 'pause' | 'resume'; readonly name: string }
  | { readonly verb: 'priority'; readonly name: string; readonly priority: number; readonly userIds: readonly string[] }
  /** Members are moved again, or taken out. */
  | { readonly verb: 'retry' | 'remove'; readonly name: string; readonly userIds: readonly string[] }
  | { readonly verb: 'limits'; readonly name: string; readonly limits: WaveLimitsRequest }
  | { readonly verb: 'status'; readonly name: string; readonly from?: number }
  | { readonly verb: 'stragglers'; readonly name: string; readonly from?: number }
)

/** `text` is for the operator. */
export type WaveRefusal = { readonly ok: false; readonly text: string }

export type WaveSummary = {
  readonly name: string
  readonly state: WaveState
  /** What a pause stopped. */
  readonly task?: string
  readonly created: number
  readonly members: number
  /** Members by the state of their migration. */
  readonly states: { readonly [state: string]: number }
  /** Members that the present task is through with, and of them those that it failed for. */
  readonly done: number
  readonly failed: number
  readonly running: number
  /** Here, and as far as the inventory knows at the old servers. */
  readonly messages: number
  readonly octets: number
  readonly messagesThere: number
  readonly octetsThere: number
  /** When the present task will be done at the pace so far. */
  readonly eta?: number
  readonly limits: { readonly atOnce: number; readonly perHost: number; readonly accountMb: number }
  readonly cutOver?: number
  readonly closing?: number
  readonly closed?: number
  readonly stragglers: number
}

export type WaveMember = {
  readonly userId: string
  readonly state: string
  readonly priority: number
  readonly isRunning: boolean
  /** Why it is in this state, or how the last pass failed. */
  readonly reason?: string
  readonly messages: number
  readonly octets: number
  readonly messagesThere?: number
  readonly octetsThere?: number
}

export type WaveRisk = ToldRisk & { readonly userId: string }

export type WavePlan = {
  /** Members without an inventory. */
  readonly unknown: number
  /** Those who can't be moved as it is. */
  readonly blocked: number
  readonly members: number
  readonly messages: number
  readonly octets: number
  readonly largest: number
  readonly mailboxes: number
  /** Milliseconds until all who are left would be here. */
  readonly ms: number
  /** Pulls that the forecast is made of; 0: it is a guess. */
  readonly measured: number
  readonly hosts: readonly {
    readonly host: string
    readonly members: number
    readonly messages: number
    readonly octets: number
    /** What a pull costs: milliseconds for each account, message and MB. */
    readonly cost: { readonly account: number; readonly message: number; readonly mb: number }
    readonly measured: number
    /** Sessions at the same time that it asked for. */
    readonly connections?: number
  }[]
}

export type WaveStraggler = {
  readonly userId: string
  readonly at: number
  readonly mailbox: string
  readonly from: string
  readonly subject: string
}

/** What became of a member. `text` is for the operator, behind the user id. */
export type WaveVerdict = {
  readonly userId: string
  readonly outcome: 'done' | 'nothing' | 'refused'
  readonly text: string
}

export type WaveAnswers = {
  readonly list: { readonly ok: true; readonly waves: readonly WaveSummary[]; readonly damaged: readonly string[] }
  readonly check: { readonly ok: true; readonly faults: readonly (readonly [userId: string, text: string])[] }
  readonly add: { readonly ok: true; readonly added: number; readonly known: number }
  readonly plan: {
    readonly ok: true
    readonly plan: WavePlan
    readonly risks: readonly WaveRisk[]
    readonly next?: number
  }
  readonly status: {
    readonly ok: true
    readonly wave: WaveSummary
    /** At most 50: those in whom something happens, then those who need somebody. */
    readonly foremost: readonly WaveMember[]
    readonly members: readonly WaveMember[]
    readonly next?: number
  }
  readonly stragglers: {
    readonly ok: true
    readonly stragglers: readonly WaveStraggler[]
    /** Those that are not listed any more. */
    readonly more: number
    readonly next?: number
  }
  readonly members: { readonly ok: true; readonly wave: WaveSummary; readonly verdicts: readonly WaveVerdict[] }
  /** Of whatever else changes a wave. */
  readonly changed: { readonly ok: true; readonly wave: WaveSummary }
}
