import type { XmlElement } from '../xml.ts'

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
