/**
 * What client and hub say to each other inside MPP: message types and JSON payloads, described in docs/mpp.md.
 * Everything read from the wire is checked here; a payload that does not fit throws SyntaxFault.
 */
import { SyntaxFault } from '../base/errors.ts'
import { encodeMpp } from '../proto/mpp/message.ts'
import type { EventFields, Json, MailEvent, Presence } from './types.ts'

/** Raised when a change breaks the other side. */
export const PROTOCOL_VERSION = 1
/** Largest payload that either side takes. */
export const MAX_PAYLOAD_OCTETS = 1 << 20
/** Presences in one message of the answer to `event:list`. */
export const PRESENCES_PER_MESSAGE = 500

/** `event:<this>`: for the hub itself. Other services' types, `<service>:ask` and so on, pass through it. */
export type HubVerb =
  | 'hello'
  | 'welcome'
  | 'subscribe'
  | 'unsubscribe'
  | 'done'
  | 'publish'
  | 'event'
  | 'announce'
  | 'update'
  | 'withdraw'
  | 'list'
  | 'presences'
  | 'serve'
  | 'unserve'
  | 'cancel'
  | 'ping'
  | 'pong'
  | 'error'

/** `<service>:<this>`. A secret ask carries a credential and goes over protected channels only. */
export type ServiceVerb = 'ask' | 'secret' | 'answer' | 'failure'

export interface Hello {
  readonly version: number
  /** Daemon or command: 'imapd', 'msstat'. */
  readonly name: string
  /** Host that the process runs on, shown with its presences. */
  readonly host: string
  readonly pid: number
}

/** A presence in the hub's table. `since` is milliseconds since 1970. */
export type ListedPresence = Presence & { readonly host: string; readonly since: number }

export interface Failure {
  readonly text: string
  readonly retryable: boolean
  /** 'unserved': nobody serves it; 'lost': who served it went away in between. Both come from the hub. */
  readonly reason?: 'unserved' | 'lost'
}

const SERVICE = /^(?!event$)[a-z][a-z0-9_.-]{0,63}$/
const MAX_TOPIC_CHARS = 512
const MAX_FIELDS = 64
const MAX_VALUE_CHARS = 2000

/** Services that are sent credentials: served over protected channels only, whatever is asked. */
export const SECRET_SERVICES: ReadonlySet<string> = new Set(['ms_sync'])

/** Whether a name can be asked and served. 'event' is the hub's own. */
export const isServiceName = (name: string): boolean => SERVICE.test(name)

/** A message for or from the hub; 0 is the msgno of one without an answer. */
export const encodeHub = (verb: HubVerb, msgno: number, value: unknown = {}): Buffer =>
  encodeMpp(`event:${verb}`, msgno, Buffer.from(JSON.stringify(value)))

/** A request to, or answer of, the process that serves `service`. */
export const encodeService = (service: string, verb: ServiceVerb, msgno: number, value: Json): Buffer =>
  encodeMpp(`${service}:${verb}`, msgno, Buffer.from(JSON.stringify(value)))

/** Splits `<service>:<payload type>`. */
export function splitType(type: string): readonly [service: string, verb: string] {
  const colon = type.indexOf(':')
  if (colon <= 0) throw new SyntaxFault(`message type ${type} is not <service>:<payload type>`, 'msg_type')
  return [type.slice(0, colon), type.slice(colon + 1)]
}

/** Any JSON value. */
export function decodeJson(payload: Buffer): Json {
  try {
    return JSON.parse(payload.toString('utf8')) as Json
  } catch {
    // The parser's own message quotes the payload, which may hold a credential.
    throw new SyntaxFault('payload is not JSON', 'payload')
  }
}

type JsonObject = { readonly [key: string]: Json }

const object = (value: Json | undefined, rule: string): JsonObject => {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new SyntaxFault(`${rule} is not an object`, rule)
  return value as JsonObject
}
const text = (value: Json | undefined, rule: string, maxChars = MAX_VALUE_CHARS): string => {
  if (typeof value !== 'string') throw new SyntaxFault(`${rule} is not a string`, rule)
  if (value.length > maxChars) throw new SyntaxFault(`${rule} is longer than ${maxChars} characters`, rule)
  return value
}
const integer = (value: Json | undefined, rule: string): number => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new SyntaxFault(`${rule} is not an integer`, rule)
  return value
}

export function decodeHello(payload: Buffer): Hello {
  const value = object(decodeJson(payload), 'hello')
  return {
    version: integer(value.version, 'version'),
    name: text(value.name, 'name', 64),
    host: text(value.host, 'host', 255),
    pid: integer(value.pid, 'pid'),
  }
}

export function decodeTopics(payload: Buffer): readonly string[] {
  const { topics } = object(decodeJson(payload), 'subscription')
  if (!Array.isArray(topics)) throw new SyntaxFault('topics is not a list', 'topics')
  return topics.map((topic: Json) => text(topic, 'topic', MAX_TOPIC_CHARS))
}

export function decodeEvent(payload: Buffer): MailEvent {
  const value = object(decodeJson(payload), 'event')
  const given = Object.entries(object(value.fields, 'fields'))
  if (given.length > MAX_FIELDS) throw new SyntaxFault(`more than ${MAX_FIELDS} fields`, 'fields')
  const fields: EventFields = Object.fromEntries(
    given.map(([key, field]) => [key, typeof field === 'number' ? field : text(field, 'field')]),
  )
  return { topic: text(value.topic, 'topic', MAX_TOPIC_CHARS), name: text(value.name, 'name', 64), fields }
}

const services: ReadonlySet<string> = new Set<Presence['service']>(['imap', 'pop3', 'lmtp', 'sieve', 'gw'])
const presenceTexts = ['sessionId', 'user', 'clientAddress', 'activity', 'mailbox'] as const

/** The parts of a presence that are there; JSON leaves out those set back to undefined, null stands for them. */
function decodePresenceChanges(value: Json | undefined): Partial<Presence> {
  const given = object(value, 'presence')
  const changes: { -readonly [K in keyof Presence]?: string | undefined } = {}
  for (const key of presenceTexts) {
    if (given[key] === null) changes[key] = undefined
    else if (given[key] !== undefined) changes[key] = text(given[key], key)
  }
  if (given.service !== undefined) {
    const service = text(given.service, 'service')
    if (!services.has(service)) throw new SyntaxFault(`no service is called ${service}`, 'service')
    return { ...changes, service } as Partial<Presence>
  }
  return changes as Partial<Presence>
}

function decodePresence(value: Json | undefined): Presence {
  const presence = decodePresenceChanges(value)
  if (presence.service === undefined) throw new SyntaxFault('presence without a service', 'presence')
  return presence as Presence
}

export interface Announce {
  /** The announcing connection's own name for it. */
  readonly id: number
  readonly presence: Presence
  readonly since: number
  /** It was announced before, on a connection that broke: nothing has started. */
  readonly again: boolean
}

export function decodeAnnounce(payload: Buffer): Announce {
  const value = object(decodeJson(payload), 'announcement')
  return {
    id: integer(value.id, 'id'),
    presence: decodePresence(value.presence),
    since: integer(value.since, 'since'),
    again: value.again === true,
  }
}

export function decodeUpdate(payload: Buffer): { readonly id: number; readonly changes: Partial<Presence> } {
  const value = object(decodeJson(payload), 'update')
  return { id: integer(value.id, 'id'), changes: decodePresenceChanges(value.changes) }
}

export const decodeId = (payload: Buffer): number => integer(object(decodeJson(payload), 'withdrawal').id, 'id')

export function decodeService(payload: Buffer): string {
  const service = text(object(decodeJson(payload), 'service').service, 'service', 64)
  if (!isServiceName(service)) throw new SyntaxFault(`${JSON.stringify(service)} can't be a service`, 'service')
  return service
}

/** The user whose connections are asked for; null for the services, undefined for everything. */
export function decodeList(payload: Buffer): string | null | undefined {
  const { user } = object(decodeJson(payload), 'list')
  return user === undefined || user === null ? user : text(user, 'user')
}

export function decodePresences(payload: Buffer): {
  readonly presences: readonly ListedPresence[]
  readonly more: boolean
} {
  const value = object(decodeJson(payload), 'presences')
  if (!Array.isArray(value.presences)) throw new SyntaxFault('presences is not a list', 'presences')
  const presences = value.presences.map((item: Json) => {
    const { host, since } = object(item, 'presence')
    return { ...decodePresence(item), host: text(host, 'host', 255), since: integer(since, 'since') }
  })
  return { presences, more: value.more === true }
}

export function decodeFailure(payload: Buffer): Failure {
  const value = object(decodeJson(payload), 'failure')
  return {
    text: text(value.text, 'text'),
    retryable: value.retryable === true,
    ...(value.reason === 'unserved' || value.reason === 'lost' ? { reason: value.reason } : {}),
  }
}

export const decodeErrorText = (payload: Buffer): string => text(object(decodeJson(payload), 'error').text, 'text')
