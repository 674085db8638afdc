/** What the Content-* fields of a part's header say. RFC 2045, 2183, 1864 (MD5), 3282 (language), 2557 (location) */

import { mimeLimits } from '../base/limits.ts'
import { type Field, fieldValue } from './header.ts'
import { Lexer } from './lexer.ts'
import { readParameters } from './parameter.ts'
import type { Parameter, Part } from './types.ts'

export type Content = Pick<
  Part,
  | 'type'
  | 'subtype'
  | 'parameters'
  | 'id'
  | 'description'
  | 'encoding'
  | 'md5'
  | 'disposition'
  | 'language'
  | 'location'
>

interface MediaType {
  readonly type: string
  readonly subtype: string
  readonly parameters: readonly Parameter[]
}

/** RFC 2045 §5.2 */
export const plainText: MediaType = { type: 'text', subtype: 'plain', parameters: [] }
/** Default of a part of a multipart/digest. RFC 2046 §5.1.5 */
export const embeddedMessage: MediaType = { type: 'message', subtype: 'rfc822', parameters: [] }
/** Stands for what is not looked into. RFC 2046 §4.5.1 */
export const opaque: MediaType = { type: 'application', subtype: 'octet-stream', parameters: [] }

/**
 * A field that is there more than once counts in its first place; `defaultType` where Content-Type is absent or broken. The header
 * of a message (not of a part) that has neither MIME-Version nor Content-Type is none of MIME, its Content fields say nothing.
 */
export function readContent(fields: readonly Field[], isMessage: boolean, defaultType: MediaType): Content {
  const values = new Map<string, string>()
  if (!isMessage || fields.some(({ name }) => name === 'mime-version' || name === 'content-type'))
    for (const field of fields)
      if (field.name.startsWith('content-') && !values.has(field.name)) values.set(field.name, fieldValue(field))
  const type = values.get('content-type')
  const disposition = values.get('content-disposition')
  const language = values.get('content-language')
  return {
    ...((type === undefined ? undefined : readMediaType(type)) ?? defaultType),
    id: values.get('content-id'),
    description: values.get('content-description'),
    encoding: readEncoding(values.get('content-transfer-encoding')),
    md5: values.get('content-md5'),
    disposition: disposition === undefined ? undefined : readDisposition(disposition),
    language: language === undefined ? undefined : readLanguages(language),
    location: values.get('content-location'),
  }
}

/** `type "/" subtype *(";" parameter)`. undefined when it is none. */
function readMediaType(value: string): MediaType | undefined {
  const input = new Lexer(value)
  input.skipCfws()
  const type = input.token()
  input.skipCfws()
  if (type === '' || !input.take('/')) return undefined
  input.skipCfws()
  const subtype = input.token()
  input.skipCfws()
  if (subtype === '' || (!input.atEnd && input.peek() !== ';')) return undefined
  return { type, subtype, parameters: readParameters(input) }
}

function readEncoding(value: string | undefined): string {
  if (value === undefined) return '7bit'
  const input = new Lexer(value)
  input.skipCfws()
  const encoding = input.token()
  input.skipCfws()
  return encoding === '' || !input.atEnd ? '7bit' : encoding
}

/** A type that can't be read is empty, which like every unknown one stands for an attachment. RFC 2183 §2.8 */
function readDisposition(value: string): Part['disposition'] {
  const input = new Lexer(value)
  input.skipCfws()
  return { type: input.token(), parameters: readParameters(input) }
}

/** Language tags between commas. RFC 3282 §2 */
function readLanguages(value: string): readonly string[] | undefined {
  const input = new Lexer(value)
  const languages: string[] = []
  do {
    input.skipCfws()
    const tag = input.token()
    if (tag === '') break
    languages.push(tag)
    input.skipCfws()
  } while (languages.length < mimeLimits.parameters && input.take(','))
  return languages.length === 0 ? undefined : languages
}
