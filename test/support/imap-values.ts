/** Response lines as values, for comparing what two servers say. */
import type { ImapLine } from './raw-imap.ts'

/** An atom or string (octets in latin1), NIL as undefined, or a list. */
export type ImapValue = string | undefined | readonly ImapValue[]

/** `* 1 FETCH (UID 5)` is ['*', '1', 'FETCH', ['UID', '5']]; an item name with brackets is one atom. */
export function parseLine({ text, literals }: ImapLine): ImapValue[] {
  const stack: ImapValue[][] = [[]]
  let literal = 0
  let at = 0
  const match = (pattern: RegExp): string => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (!found) throw new Error(`not a response: ${text.slice(at, at + 100)}`)
    at += found.length
    return found
  }
  while (at < text.length) {
    const list = stack.at(-1)!
    switch (text[at]) {
      case ' ':
        at++
        break
      case '(':
        stack.push([])
        at++
        break
      case ')':
        stack.pop()
        if (stack.length === 0) throw new Error(`unbalanced: ${text.slice(0, 100)}`)
        stack.at(-1)!.push(list)
        at++
        break
      case '"':
        list.push(
          match(/"(?:[^"\\]|\\.)*"/sy)
            .slice(1, -1)
            .replace(/\\(.)/gs, '$1'),
        )
        break
      case '{':
        match(/\{\d+\}/y)
        list.push(literals[literal++]!.toString('latin1'))
        break
      default: {
        const atom = match(/[^\s()"{[]*(?:\[[^\]]*\])?[^\s()"{[]*/y)
        list.push(atom === 'NIL' ? undefined : atom)
      }
    }
  }
  if (stack.length !== 1) throw new Error(`unbalanced: ${text.slice(0, 100)}`)
  return stack[0]!
}

/** Formatted items (with their literals inside) as values. */
export function parseValue(formatted: string): ImapValue {
  const literals: Buffer[] = []
  let text = ''
  let rest = formatted
  for (let found = literalStart(rest); found !== undefined; found = literalStart(rest)) {
    text += rest.slice(0, found.start)
    literals.push(Buffer.from(rest.slice(found.start, found.start + found.octets), 'latin1'))
    rest = rest.slice(found.start + found.octets)
  }
  return parseLine({ text: (text + rest).replaceAll('}\r\n', '}'), literals })[0]
}

function literalStart(text: string): { start: number; octets: number } | undefined {
  const found = /\{(\d+)\}\r\n/.exec(text)
  return found === null ? undefined : { start: found.index + found[0].length, octets: Number(found[1]) }
}
