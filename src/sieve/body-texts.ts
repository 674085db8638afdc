/** The texts that `body` tests look at. RFC 5173 §5. Parts are decoded once a run, and no more of them than a limit. */

import { decodeCharset, decodeUnlabelled } from '../mime/charset.ts'
import { htmlText } from '../mime/html-text.ts'
import { findParameter } from '../mime/parameter.ts'
import { decodeTransfer } from '../mime/transfer.ts'
import type { Part } from '../mime/types.ts'
import type { Run } from './language.ts'
import { runLimits } from './limits.ts'

interface Decoded {
  readonly texts: readonly string[]
}

export class BodyTexts {
  readonly #run: Run
  readonly #decoded = new Map<string, Decoded>()
  #octetsLeft: number = runLimits.bodyOctets

  constructor(run: Run) {
    this.#run = run
  }

  /** None where the message ends with its header. §4 */
  async raw(): Promise<readonly string[]> {
    if (!this.#run.message.hasBody) return []
    return this.#once('raw', async () => {
      const { bodyStart, end } = await this.#run.message.structure()
      return [(await this.#read(bodyStart, end)).toString()]
    })
  }

  async text(): Promise<readonly string[]> {
    return this.#ofParts((type) => type === 'text', true)
  }

  async content(types: readonly string[]): Promise<readonly string[]> {
    const wanted = types.map((type) => type.toLowerCase()).filter((type) => /^[^/]*$|^[^/]+\/[^/]+$/.test(type))
    return this.#ofParts((type, whole) => wanted.some((want) => want === '' || want === type || want === whole), false)
  }

  async #ofParts(isWanted: (type: string, whole: string) => boolean, readable: boolean): Promise<readonly string[]> {
    if (!this.#run.message.hasBody) return []
    const texts: string[] = []
    const left = [await this.#run.message.structure()]
    for (let part = left.pop(); part !== undefined; part = left.pop()) {
      left.push(...part.children.toReversed())
      const type = part.type.toLowerCase()
      if (!isWanted(type, `${type}/${part.subtype.toLowerCase()}`)) continue
      const found: Part = part
      texts.push(...(await this.#once(`${found.start} ${readable}`, () => this.#partTexts(found, readable))))
      this.#run.spend(1)
      if (this.#run.isTired) await this.#run.breathe()
    }
    return texts
  }

  async #partTexts(part: Part, readable: boolean): Promise<readonly string[]> {
    const type = part.type.toLowerCase()
    const [first, last] = [part.children[0], part.children.at(-1)]
    if (first !== undefined && last !== undefined) {
      if (type !== 'multipart') return [(await this.#read(first.start, first.bodyStart)).toString()]
      // The lines of the delimiters belong to neither.
      const prologue = (await this.#read(part.bodyStart, first.start)).toString('latin1')
      const epilogue = (await this.#read(last.end, part.end)).toString('latin1')
      return [prologue.replace(/(?:^|\r?\n)--[^\n]*\r?\n$/, ''), epilogue.replace(/^\r?\n--[^\n]*(?:\r?\n|$)/, '')].map(
        (text) => Buffer.from(text, 'latin1').toString(),
      )
    }
    const octets = decodeTransfer(await this.#read(part.bodyStart, part.end), part.encoding)
    if (type !== 'text') return [octets.toString()]
    const charset = findParameter(part.parameters, 'charset')
    const text = (charset === undefined ? undefined : decodeCharset(octets, charset)) ?? decodeUnlabelled(octets)
    return [readable && part.subtype.toLowerCase() === 'html' ? htmlText(text) : text]
  }

  async #read(start: number, end: number): Promise<Buffer> {
    const until = Math.min(end, start + Math.min(runLimits.partOctets, this.#octetsLeft))
    if (until <= start) return Buffer.alloc(0)
    this.#octetsLeft -= until - start
    this.#run.spend((until - start) >> 6)
    if (this.#run.isTired) await this.#run.breathe()
    return this.#run.message.read(start, until)
  }

  async #once(key: string, read: () => Promise<readonly string[]>): Promise<readonly string[]> {
    const known = this.#decoded.get(key)
    if (known !== undefined) return known.texts
    const texts = await read()
    this.#decoded.set(key, { texts })
    return texts
  }
}
