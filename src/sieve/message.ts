/** The message that scripts are run on: its header is read once a run, and edited here (RFC 5293). */

import { decodeEncodedWords } from '../mime/encoded-word.ts'
import { type Field, fieldValue, splitFields } from '../mime/header.ts'
import type { Part } from '../mime/types.ts'
import { addressText, fieldAddresses, type SieveAddress } from './address.ts'
import { runLimits } from './limits.ts'
import type { EditedMessage, Envelope, SieveMessage } from './types.ts'

/** A header field; what it says is worked out when somebody asks, and once. */
export class HeaderField {
  /** Lower case. */
  readonly name: string
  /** Octets in latin1, with its line end. */
  readonly raw: string
  #value: string | undefined
  #text: string | undefined
  #addresses: readonly string[] | undefined
  #parsed: readonly SieveAddress[] | undefined

  constructor({ name, raw }: Field) {
    this.name = name
    this.raw = raw
  }

  /** Unfolded octets in latin1. */
  get value(): string {
    this.#value ??= fieldValue(
      this.raw.length <= runLimits.fieldOctets
        ? this
        : { name: this.name, raw: `${this.raw.slice(0, runLimits.fieldOctets)}\n` },
    )
    return this.#value
  }

  /** Unfolded, decoded (RFC 2047), without white space around it. RFC 5228 §2.4.2.2, §5.7 */
  get text(): string {
    this.#text ??= decodeEncodedWords(this.value).trim()
    return this.#text
  }

  /** Those that can be read. */
  get addresses(): readonly SieveAddress[] {
    this.#readAddresses()
    return this.#parsed!
  }

  /** For `:all`: the addresses, or the text of the field where not all of it can be read. RFC 5228 §2.7.4 */
  get addressTexts(): readonly string[] {
    this.#readAddresses()
    return this.#addresses!
  }

  #readAddresses(): void {
    if (this.#parsed !== undefined) return
    const { addresses, valid } = fieldAddresses(this.value)
    this.#parsed = addresses
    const texts = addresses.map(addressText)
    this.#addresses = valid || this.text === '' ? texts : [...texts, this.text]
  }
}

const noFields: readonly HeaderField[] = []

export class RunningMessage {
  readonly #original: SieveMessage
  #fields: HeaderField[] | undefined
  #byName: Map<string, HeaderField[]> | undefined
  #structure: Promise<Part> | undefined
  /** Behind the fields that are looked at: the empty line, and before it what is beyond the limit. */
  #rest = '\r\n'
  #isEdited = false
  #edited: EditedMessage | undefined
  #body: Buffer | undefined

  constructor(original: SieveMessage) {
    this.#original = original
  }

  get envelope(): Envelope {
    return this.#original.envelope
  }

  /** With what was edited. */
  get sizeOctets(): number {
    const { sizeOctets, header } = this.#original
    const { edited } = this
    if (edited === undefined) return sizeOctets
    return edited.header.length + (edited.body?.length ?? sizeOctets - header.length)
  }

  /** Whether an empty line ends its header. */
  get hasBody(): boolean {
    const { header } = this.#original
    const last = header.length - 1
    if (header[last] !== 10) return false
    const before = header[last - 1] === 13 ? last - 2 : last - 1
    return before < 0 || header[before] === 10
  }

  /** All, in their order. */
  get fields(): readonly HeaderField[] {
    this.#fields ??= this.#readFields()
    return this.#fields
  }

  /** In their order; `name` without case. */
  fieldsNamed(name: string): readonly HeaderField[] {
    if (this.#byName === undefined) {
      this.#byName = new Map()
      for (const field of this.fields) {
        const others = this.#byName.get(field.name)
        if (others === undefined) this.#byName.set(field.name, [field])
        else others.push(field)
      }
    }
    return this.#byName.get(name.toLowerCase()) ?? noFields
  }

  /** Of the message as it came: edited header fields don't count there. */
  structure(): Promise<Part> {
    this.#structure ??= this.#original.structure()
    return this.#structure
  }

  /** Octets [start, end) of the message as it came. */
  read(start: number, end: number): Promise<Buffer> {
    return this.#original.read(start, end)
  }

  /** `field`: with its line end, octets in latin1. */
  addField(field: Field, last: boolean): void {
    const fields = [...this.fields]
    if (last) fields.push(new HeaderField(field))
    else fields.unshift(new HeaderField(field))
    this.#edit(fields)
  }

  removeFields(removed: ReadonlySet<HeaderField>): void {
    if (removed.size > 0) this.#edit(this.fields.filter((field) => !removed.has(field)))
  }

  /** Instead of the octets behind the header. */
  replaceBody(body: Buffer): void {
    this.#body = body
    this.#isEdited = true
    this.#edited = undefined
  }

  /** undefined: it is as it came. */
  get edited(): EditedMessage | undefined {
    if (!this.#isEdited) return undefined
    this.#edited ??= {
      header: Buffer.from(`${this.fields.map(({ raw }) => raw).join('')}${this.#rest}`, 'latin1'),
      body: this.#body,
    }
    return this.#edited
  }

  #readFields(): HeaderField[] {
    const { header } = this.#original
    const text = Buffer.from(header.buffer, header.byteOffset, header.byteLength).toString('latin1')
    const end = text.length > runLimits.headerOctets ? lastFieldEnd(text, runLimits.headerOctets) : text.length
    if (end < text.length) this.#rest = text.slice(end)
    return splitFields(text.slice(0, end)).map((field) => new HeaderField(field))
  }

  #edit(fields: HeaderField[]): void {
    this.#fields = fields
    this.#byName = undefined
    this.#isEdited = true
    this.#edited = undefined
  }
}

/** Behind the last field that ends before `limit`; 0: none does. */
function lastFieldEnd(header: string, limit: number): number {
  for (let lf = header.lastIndexOf('\n', limit); lf >= 0; lf = header.lastIndexOf('\n', lf - 1)) {
    const next = header.charCodeAt(lf + 1)
    if (next !== 32 && next !== 9) return lf + 1
    if (lf === 0) break
  }
  return 0
}
