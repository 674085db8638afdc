/**
 * APPEND's arguments, and the APPENDUID code. RFC 9051 §6.3.12, §9 rules append, resp-code-apnd; RFC 4315 §3; RFC 3502 (several messages);
 * RFC 4466 §6 append-message; RFC 4469 §5 (CATENATE); RFC 6855 §4 (UTF8).
 */

import type { Uid } from '../../base/ids.ts'
import { formatNumbers } from './sequence-set.ts'
import type { TokenReader } from './token-reader.ts'

/** What is to be done, one after another. */
export type AppendStep =
  /** A message begins. */
  | {
      readonly step: 'message'
      readonly flags: readonly string[]
      /** INTERNALDATE in seconds since 1970; undefined: now. */
      readonly internalDate: number | undefined
    }
  /**
   * The octets of the literal behind this text are the message (`isWhole`), or a part of it; `isUtf8`: announced to have UTF-8 in a header. Always
   * the last step of a text.
   */
  | { readonly step: 'literal'; readonly isWhole: boolean; readonly isUtf8: boolean }
  /** What the URL names belongs to the message; octets in latin1. */
  | { readonly step: 'url'; readonly url: string }
  /** The message is complete. */
  | { readonly step: 'end' }

/** `SP mailbox`: Unicode, INBOX folded. */
export function readAppendMailbox(input: TokenReader): string {
  input.sp()
  return input.mailbox()
}

/** Reads what stands between the literals of an APPEND, each text when it has come. */
export class AppendReader {
  readonly #most: number
  #messages = 0
  /** What the text to come begins in. */
  #within: 'nothing' | 'message' | 'catenate' = 'nothing'
  /** Within `utf8-literal`. */
  #isUtf8 = false

  /** `most`: messages of the command. */
  constructor({ most = Number.POSITIVE_INFINITY }: { readonly most?: number } = {}) {
    this.#most = most
  }

  /** `literalFollows`: the text ends in a message literal, else in the end of the command. Throws SyntaxFault. */
  read(text: TokenReader, literalFollows: boolean): readonly AppendStep[] {
    const steps: AppendStep[] = []
    const literal = () => {
      if (text.peek() !== '' || !literalFollows) return false
      steps.push({ step: 'literal', isWhole: this.#within === 'message', isUtf8: this.#isUtf8 })
      return true
    }
    if (this.#isUtf8) text.char(')', 'utf8-literal')
    this.#isUtf8 = false
    if (this.#within === 'message') {
      steps.push({ step: 'end' })
      this.#within = 'nothing'
    } else if (this.#within === 'catenate') {
      if (!text.tryChar(')')) {
        text.sp()
        if (this.#readParts(text, steps, literal)) return steps
      }
      steps.push({ step: 'end' })
      this.#within = 'nothing'
    }
    while (this.#messages === 0 || literalFollows || text.peek() !== '') {
      if (this.#messages >= this.#most) text.end()
      this.#messages++
      if (this.#readMessage(text, steps, literal)) return steps
      steps.push({ step: 'end' })
      this.#within = 'nothing'
    }
    return steps
  }

  /** `append-message`. Answers whether the text is at its end, within the message. */
  #readMessage(text: TokenReader, steps: AppendStep[], literal: () => boolean): boolean {
    text.sp()
    let flags: readonly string[] = []
    if (text.peek() === '(') {
      flags = text.flagList()
      text.sp()
    }
    let internalDate: number | undefined
    if (text.peek() === '"') {
      internalDate = text.dateTime()
      text.sp()
    }
    steps.push({ step: 'message', flags, internalDate })
    if (text.tryWord('CATENATE')) {
      this.#within = 'catenate'
      text.sp()
      text.char('(', 'cat-part')
      return this.#readParts(text, steps, literal)
    }
    this.#within = 'message'
    if (text.tryWord('UTF8')) this.#openUtf8(text)
    if (literal()) return true
    const before = text.peek() === '' ? '' : 'flags in parentheses, a quoted date or '
    throw text.fault('append', `${before}the message as a literal`)
  }

  /** `cat-part *(SP cat-part) ")"`, or as far as the next literal: then it answers true. */
  #readParts(text: TokenReader, steps: AppendStep[], literal: () => boolean): boolean {
    do {
      if (text.tryWord('TEXT')) {
        text.sp()
        if (literal()) return true
        throw text.fault('cat-part', 'a literal')
      }
      if (text.tryWord('UTF8')) {
        this.#openUtf8(text)
        if (literal()) return true
        throw text.fault('utf8-literal', 'a literal')
      }
      if (!text.tryWord('URL')) throw text.fault('cat-part', 'TEXT and a literal, or URL and a URL')
      text.sp()
      steps.push({ step: 'url', url: text.astring('url') })
    } while (text.tryChar(' '))
    text.char(')', 'cat-part')
    return false
  }

  /** `SP "("` of `utf8-literal`. */
  #openUtf8(text: TokenReader): void {
    text.sp()
    text.char('(', 'utf8-literal')
    this.#isUtf8 = true
  }
}

/** "APPENDUID 38505 3955:3957", without brackets; the UIDs in the order of the messages. */
export function formatAppendUid(uidValidity: number, uids: readonly Uid[]): string {
  return `APPENDUID ${uidValidity} ${formatNumbers(uids)}`
}
