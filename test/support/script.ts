/**
 * Scripts: what a scripted server says, and what has to come of it, read from a file of rows.
 *
 *     == P9 the maildrop is locked, in free text
 *     when PASS
 *       say -ERR lock busy\r\n
 *     pass in-use
 *     here
 *
 * `when WORD [pattern] [first N]` begins a rule for a command whose argument matches; its indented lines say what is done, in order: `say octets`
 * (with \r \n \0 \\ \xNN), `usual` (what a correct server says), `usual cut N` (the first N octets of that), `repeat N octets`, `wait ms`,
 * `close`. All other lines are steps, for whoever runs the row.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Answer, Exchange, ScriptedServer } from './scripted-server.ts'

export interface Rule {
  readonly word: string
  readonly pattern: RegExp
  readonly times: number
  readonly actions: readonly string[]
}

export type Step = { readonly rule: Rule } | { readonly line: string }

export interface Row {
  /** `P9`; several rows may have the same. */
  readonly id: string
  readonly title: string
  readonly steps: readonly Step[]
}

export const parseRows = (text: string): readonly Row[] =>
  text
    .split(/^== /m)
    .slice(1)
    .map((section) => {
      const [head = '', ...lines] = section.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
      const [id = '', ...title] = head.split(' ')
      const steps: Step[] = []
      let actions: string[] = []
      for (const line of lines) {
        if (line.startsWith(' ')) {
          actions.push(line.trim())
          continue
        }
        const when = /^when ((?:UID )?\S+)(?: (?!first )(.*?))?(?: first (\d+))?$/.exec(line)
        if (when === null) {
          steps.push({ line })
          continue
        }
        actions = []
        const [, word = '', pattern = '', times = 'Infinity'] = when
        steps.push({ rule: { word, pattern: new RegExp(pattern), times: Number(times), actions } })
      }
      return { id, title: title.join(' '), steps }
    })

/** Octets as a script spells them, in latin1. */
export const octetsOf = (text: string): string =>
  text.replace(/\\(?:x([0-9a-f]{2})|([rn0\\]))/g, (_, hex: string | undefined, letter: string) =>
    hex === undefined
      ? { r: '\r', n: '\n', '0': '\0', '\\': '\\' }[letter]!
      : String.fromCharCode(Number.parseInt(hex, 16)),
  )

/** Several rules for one word: the first that matches and is not used up. */
export const follow = <E extends Exchange>(server: ScriptedServer<E>, rules: readonly Rule[]): void => {
  const used = new Map<Rule, number>()
  for (const word of new Set(rules.map((rule) => rule.word))) {
    server.on(word, async (exchange, usual) => {
      const rule = rules.find(
        (each) => each.word === word && each.pattern.test(exchange.argument) && (used.get(each) ?? 0) < each.times,
      )
      if (rule === undefined) return usual()
      used.set(rule, (used.get(rule) ?? 0) + 1)
      const last = rule.actions.length - 1
      for (const [index, action] of rule.actions.entries()) {
        const [verb, ...rest] = action.split(' ')
        const text = rest.join(' ')
        let answer: Answer
        if (verb === 'say') answer = octetsOf(text)
        else if (verb === 'repeat') answer = octetsOf(rest.slice(1).join(' ')).repeat(Number(rest[0]))
        else if (verb === 'usual') {
          const whole = usual() ?? ''
          answer =
            rest[0] === 'cut'
              ? (typeof whole === 'string' ? Buffer.from(whole, 'latin1') : whole).subarray(0, Number(rest[1]))
              : whole
        } else if (verb === 'wait') await wait(Number(text))
        else if (verb === 'close') exchange.socket.end()
        else throw new Error(`a script says ${action}`)
        if (index === last) return answer
        await exchange.send(answer)
      }
      return undefined
    })
  }
}
