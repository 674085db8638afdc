/** What the file of a record has to be before anything in it is looked at: not too long, JSON, an object, of the version that is known. */

export type JsonObject = Readonly<Record<string, unknown>>

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export interface JsonRecordForm {
  /** Written in each file as `version`. */
  readonly version: number
  /** Undefined: as long as it likes. */
  readonly maxOctets?: number
  /** The error for a file that `what` (a verb and the rest) is true of. */
  readonly damaged: (what: string) => Error
}

/** Throws what `damaged` makes; it never quotes the file, which may have secrets. */
export const readJsonRecord = (
  octets: Buffer,
  { version, maxOctets = Infinity, damaged }: JsonRecordForm,
): JsonObject => {
  if (octets.length > maxOctets) throw damaged(`has ${octets.length} octets`)
  let json: unknown
  try {
    json = JSON.parse(octets.toString('utf8'))
  } catch {
    // The parser's own text quotes the file.
    throw damaged('is not JSON')
  }
  if (!isJsonObject(json)) throw damaged('is not an object')
  if (json.version !== version) throw damaged(`has a version that is not ${version}`)
  return json
}
