/** Reads the attributes of an element of ms_sync.xml: each once, with a finding for what is not valid or not known. */
import { type Finding, nearest } from './finding.ts'
import { quote } from './option.ts'
import type { XmlElement } from './xml.ts'

export type Report = (severity: Finding['severity'], line: number, option: string | undefined, message: string) => void

/** What an attribute is called, what is valid in words, and its value in the file's text; undefined: not valid. */
export type Read = <T>(name: string, valid: string, convert: (text: string) => T | undefined) => T | undefined

/** Their blanks count, and they are never shown. */
const secrets = ['password', 'master_password', 'client_secret']
const asWritten = [...secrets, 'mailbox']

/** `known`: every attribute that the element may have. */
export const attributesOf = (element: XmlElement, known: readonly string[], report: Report): Read => {
  for (const [name, { line }] of element.attributes) {
    if (known.includes(name)) continue
    const near = nearest(name, known)
    report(
      'warning',
      line,
      name,
      near === undefined
        ? `is not an attribute of <${element.name}>; it is ignored`
        : `is not an attribute of <${element.name}>; did you mean ${near}? It is ignored.`,
    )
  }
  return (name, valid, convert) => {
    const attribute = element.attributes.get(name)
    if (attribute === undefined) return undefined
    const value = convert(asWritten.includes(name) ? attribute.value : attribute.value.trim())
    if (value === undefined) {
      const shown = secrets.includes(name) ? 'is empty' : `${quote(attribute.value)} is not valid`
      report('error', attribute.line, name, `${shown}; valid is ${valid}`)
    }
    return value
  }
}

export const oneOf =
  <T>(choices: Readonly<Record<string, T>>) =>
  (text: string): T | undefined =>
    Object.hasOwn(choices, text.toLowerCase()) ? choices[text.toLowerCase()] : undefined

export const integer =
  (accept: (value: number) => boolean) =>
  (text: string): number | undefined =>
    /^-?\d{1,9}$/.test(text) && accept(Number(text)) ? Number(text) : undefined

export const nonEmpty = (text: string): string | undefined => (text === '' ? undefined : text)

export const booleans: Readonly<Record<string, boolean>> = { true: true, false: false }

export type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }
export const withoutUndefined = <T extends object>(object: T): Defined<T> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Defined<T>

export const refuseText = (element: XmlElement, report: Report): void => {
  if (element.text.trim() !== '')
    report('error', element.line, undefined, `<${element.name}> holds text; everything is written in attributes`)
}
