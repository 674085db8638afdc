/**
 * Splits a line of standard input into words: blanks separate; '…' is taken as it is; in "…" and outside of quotes a
 * backslash takes the next character as it is. A line that begins with # is a comment.
 */
import { UsageError } from './command.ts'

export const splitWords = (line: string): readonly string[] => {
  if (/^\s*#/.test(line)) return []
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (let index = 0; index < line.length; index++) {
    const character = line[index]!
    if (character === '\\' && quote !== "'") {
      index++
      if (index === line.length) throw new UsageError('the line ends in a backslash')
      word = (word ?? '') + line[index]
    } else if (quote !== undefined) {
      if (character === quote) quote = undefined
      else word += character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (character === ' ' || character === '\t') {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = (word ?? '') + character
  }
  if (quote !== undefined) throw new UsageError(`a ${quote} is not closed`)
  if (word !== undefined) words.push(word)
  return words
}
