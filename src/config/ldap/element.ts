/** What entries of the directory say, as ms.conf would say it. */
import type { Setting } from '../draft.ts'
import type { Finding } from '../finding.ts'
import type { XmlElement } from '../xml.ts'

export interface EntrySettings {
  readonly settings: readonly Setting[]
  /** Values that are none. */
  readonly findings: readonly Finding[]
}

/** An element of ms.conf that stands in no file. */
export const elementOf = (
  name: string,
  text: string,
  attributes: Readonly<Record<string, string>> = {},
  children: readonly XmlElement[] = [],
): XmlElement => ({
  name,
  text,
  attributes: new Map(Object.entries(attributes).map(([key, value]) => [key, { value, line: 0 }])),
  children,
  line: 0,
})
