/**
 * `npm run prove:sieve`: the tests of `scripts/*.txt` as Pigeonhole sees them. Prints each line that it answers differently (or refuses), and exits with 1 when there is one that is not
 * among the known differences.
 */
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Pigeonhole } from './pigeonhole.ts'
import { readCases } from './transcript.ts'

/** Where Pigeonhole 0.5.19 is known to answer otherwise, by the beginning of a test (or any part of it), and why ours stands. */
const known: readonly (readonly [part: string, reason: string])[] = [
  ['i;unicode-casemap', 'it has no such comparator'],
  ['"LE"', 'it wants operators in lower case; RFC 5231 §4 strings are compared as the grammar, without case'],
  ['body :raw', 'it takes an empty body for none; RFC 5173 §4 tells them apart'],
  ['string :matches "x', 'it aborts at a pattern that ends in a backslash'],
  ['"x-unknown"', 'it shows the text of encoded words in unknown charsets; RFC 5228 §2.7.2 leaves it open'],
  ['"cc" "undisclosed"', 'it shows the field of an empty group; RFC 5228 §5.1 never acts on group names'],
  ['"from" ""', 'its tool does not take an empty sender'],
  ['not envelope :contains "from" "@"', 'its tool does not take an empty sender'],
  ['envelope "from" "tim@example.com"', 'its tool does not take a source route'],
  ['"65536"', 'its variables are shorter'],
  ['"received"', 'it takes what follows the first semicolon; RFC 5260 §4 wants the last date'],
  ['currentdate', 'its clock is that of the machine'],
  ['string :regex "ABC"', 'its expressions tell upper from lower case also with i;ascii-casemap'],
  ['string :regex "é"', 'its expressions see octets'],
  ['string :regex "one', 'its ^ and $ know no lines; the draft says "beginning of the line or string"'],
  ['string :regex "a${', 'its dot matches a line end; the draft excludes it'],
]

/** What both have. */
const required =
  'require ["fileinto", "envelope", "encoded-character", "variables", "relational", "comparator-i;ascii-numeric", "copy", "subaddress", "imap4flags", "date", "index", "ihave", "regex", "body", "mailbox"];\n'

const directory = mkdtempSync(join(tmpdir(), 'wherry-pigeonhole-'))
const pigeonhole = new Pigeonhole(directory)
let same = 0
let different = 0
let unknown = 0
try {
  for (const file of globSync(join(import.meta.dirname, 'scripts/*.txt')).sort())
    for (const { title, sections, message } of readCases(readFileSync(file, 'utf8'))) {
      const lines = ['true', 'false'].flatMap((answer) =>
        (sections.get(answer) ?? '')
          .split('\n')
          .flatMap((text) => (text === '' ? [] : [{ text, answer: answer === 'true' }])),
      )
      const {
        from = 'sender@example.org',
        to = 'user@example.com',
        ...others
      } = JSON.parse(sections.get('environment') ?? '{}')
      if (lines.length === 0 || Object.keys(others).length > 0) continue
      const ask = (tests: typeof lines) =>
        pigeonhole.fileinto(
          `${required}${sections.get('setup') ?? ''}\n${tests.map(({ text }, index) => `if ${text} { fileinto "t${index}"; }`).join('\n')}\nkeep;\n`,
          message,
          from,
          to,
        )
      const all = await ask(lines)
      for (const [index, line] of lines.entries()) {
        const found = 'refused' in all ? await ask([line]) : all
        const name = 'refused' in all ? 't0' : `t${index}`
        if (!('refused' in found) && found.includes(name) === line.answer) same++
        else {
          different++
          const reason = known.find(([part]) => line.text.includes(part))?.[1]
          if (reason === undefined) unknown++
          const what =
            'refused' in found
              ? `refused (${found.refused.split('\n').find((text) => text.includes('error')) ?? ''})`
              : String(found.includes(name))
          console.log(
            `${basename(file)} ${title}: ${line.text}: ${line.answer} here, ${what} there; ${reason ?? 'not known why'}`,
          )
        }
      }
    }
} finally {
  rmSync(directory, { recursive: true })
}
console.log(`${same} tests answered alike, ${different} not, ${unknown} of them for no known reason`)
process.exitCode = unknown === 0 ? 0 : 1
