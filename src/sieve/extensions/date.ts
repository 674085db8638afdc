/** Dates and times in header fields, and now. RFC 5260 §4 and §5 */

import { readDateTime } from '../../mime/date.ts'
import type { Arguments, CompileContext, Extension, Run, TagSpec, Text } from '../language.ts'
import type { HeaderField } from '../message.ts'
import { selectFields } from '../selection.ts'

interface Moment {
  /** Milliseconds since 1970. */
  readonly ms: number
  /** East of Greenwich. */
  readonly zoneMinutes: number
}

const zone: TagSpec = {
  name: 'zone',
  value: 'string',
  excludes: ['originalzone'],
  check(given, context) {
    const text = given.text('zone')
    if (text.constant !== undefined && zoneMinutes(text.constant) === undefined)
      context.error(text.position, badZone(text.constant))
  },
}

const part = { name: 'date-part', type: 'string' } as const
const keys = { name: 'keys', type: 'string-list' } as const

export const date: Extension = {
  capability: 'date',
  tests: [
    {
      name: 'date',
      tags: [zone, { name: 'originalzone' }],
      positional: [{ name: 'header-name', type: 'string' }, part, keys],
      matches: true,
      compile(given, context) {
        const name = given.text('header-name')
        const read = partReader(given, context)
        const select = selectFields(given)
        return (run) => {
          const field = select(run.message.fieldsNamed(name.of(run)))[0]
          const written = field === undefined ? undefined : momentOf(field)
          return given.matching.any(written === undefined ? [] : [read(written, run)], run)
        }
      },
    },
    {
      name: 'currentdate',
      tags: [zone],
      positional: [part, keys],
      matches: true,
      compile(given, context) {
        const read = partReader(given, context)
        return (run) => given.matching.any([read({ ms: run.environment.now, zoneMinutes: 0 }, run)], run)
      },
    },
  ],
}

/** All of the field, or what follows its last semicolon (Received). §4 */
function momentOf({ value }: HeaderField): Moment | undefined {
  const found = readDateTime(value.slice(value.lastIndexOf(';') + 1))
  return found === undefined ? undefined : { ms: found.seconds * 1000, zoneMinutes: found.zoneMinutes }
}

function partReader(given: Arguments, context: CompileContext): (moment: Moment, run: Run) => string {
  const name = given.text('date-part')
  if (name.constant !== undefined && findPart(name.constant) === undefined)
    context.error(name.position, badPart(name.constant))
  const zoneText = given.findText('zone')
  const keepsZone = given.has('originalzone')
  return (moment, run) => {
    const text = name.of(run)
    const read = findPart(text) ?? run.fail(name.position, badPart(text))
    const minutes = keepsZone ? moment.zoneMinutes : chosenZone(zoneText, moment, run)
    return read(new Date(moment.ms + minutes * 60_000), minutes)
  }
}

function chosenZone(text: Text | undefined, { ms }: Moment, run: Run): number {
  if (text === undefined) return run.environment.zoneOffsetMinutes?.(ms) ?? 0
  const given = text.of(run)
  return zoneMinutes(given) ?? run.fail(text.position, badZone(given))
}

function zoneMinutes(text: string): number | undefined {
  const [, sign, hours, minutes] = /^([+-])(\d{2})(\d{2})$/.exec(text) ?? []
  if (sign === undefined || Number(minutes) > 59) return undefined
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}

const badZone = (text: string) => `"${text.slice(0, 20)}" is no time zone: write its distance from UTC, such as "+0100"`

const two = (number: number) => String(number).padStart(2, '0')
const dayNames = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
/** 1858-11-17 lies so many days before 1970. */
const julianOf1970 = 40_587

type PartReader = (local: Date, zoneMinutes: number) => string

/** `local`: its UTC fields are those of the zone. §4.2 */
const parts: Readonly<Record<string, PartReader>> = {
  year: (local) => String(local.getUTCFullYear()).padStart(4, '0'),
  month: (local) => two(local.getUTCMonth() + 1),
  day: (local) => two(local.getUTCDate()),
  date: (local) => local.toISOString().slice(0, 10),
  julian: (local) => String(Math.floor(local.getTime() / 86_400_000) + julianOf1970),
  hour: (local) => two(local.getUTCHours()),
  minute: (local) => two(local.getUTCMinutes()),
  second: (local) => two(local.getUTCSeconds()),
  time: (local) => local.toISOString().slice(11, 19),
  iso8601: (local, minutes) =>
    `${local.toISOString().slice(0, 19)}${minutes === 0 ? 'Z' : zoneName(minutes).replace(/(\d\d)$/, ':$1')}`,
  std11: (local, minutes) =>
    `${dayNames[local.getUTCDay()]}, ${two(local.getUTCDate())} ${monthNames[local.getUTCMonth()]} ${local.getUTCFullYear()} ${local.toISOString().slice(11, 19)} ${zoneName(minutes)}`,
  zone: (_, minutes) => zoneName(minutes),
  weekday: (local) => String(local.getUTCDay()),
}

const findPart = (name: string): PartReader | undefined =>
  Object.hasOwn(parts, name.toLowerCase()) ? parts[name.toLowerCase()] : undefined

const badPart = (name: string) =>
  `"${name.slice(0, 20)}" is no part of a date: use one of ${Object.keys(parts).join(', ')}`

function zoneName(minutes: number): string {
  const distance = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(distance / 60))}${two(distance % 60)}`
}
