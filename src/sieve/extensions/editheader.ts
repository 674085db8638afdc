/** Header fields that scripts add and remove. RFC 5293 */

import { encodedField } from '../field-text.ts'
import type { Extension, Run, Text } from '../language.ts'
import type { HeaderField } from '../message.ts'
import { selectFields } from '../selection.ts'
import { indexTags } from './index-extension.ts'

/** Those that tell loops. §6 */
const neverDeleted: ReadonlySet<string> = new Set(['received', 'auto-submitted'])

export const editheader: Extension = {
  capability: 'editheader',
  commands: [
    {
      name: 'addheader',
      tags: [{ name: 'last' }],
      positional: [
        { name: 'field-name', type: 'string' },
        { name: 'value', type: 'string' },
      ],
      compile(given, context) {
        const name = given.text('field-name')
        const value = given.text('value')
        if (name.constant !== undefined && !isFieldName(name.constant))
          context.error(name.position, badName(name.constant))
        return (run) => {
          const field = checkedName(name, run)
          run.spend(10 + (run.message.fields.length >> 3))
          run.message.addField(
            { name: field.toLowerCase(), raw: encodedField(field, value.of(run)) },
            given.has('last'),
          )
        }
      },
    },
    {
      name: 'deleteheader',
      tags: indexTags,
      positional: [
        { name: 'field-name', type: 'string' },
        { name: 'value-patterns', type: 'string-list', optional: true },
      ],
      matches: true,
      compile(given, context) {
        const name = given.text('field-name')
        if (name.constant !== undefined && !isFieldName(name.constant))
          context.error(name.position, badName(name.constant))
        const select = selectFields(given)
        const hasPatterns = given.findTexts('value-patterns') !== undefined
        return (run) => {
          const field = checkedName(name, run)
          if (neverDeleted.has(field.toLowerCase())) return undefined
          run.spend(10 + (run.message.fields.length >> 3))
          const fields = select(run.message.fieldsNamed(field))
          if (!hasPatterns) return run.message.removeFields(new Set(fields))
          return removeMatching(fields, (text) => given.matching.any([text], run), run)
        }
      },
    },
  ],
}

async function removeMatching(
  fields: readonly HeaderField[],
  matches: (text: string) => boolean | Promise<boolean>,
  run: Run,
): Promise<void> {
  const removed = new Set<HeaderField>()
  for (const field of fields) if (await matches(field.text)) removed.add(field)
  run.message.removeFields(removed)
}

function checkedName(name: Text, run: Run): string {
  const field = name.of(run)
  return isFieldName(field) ? field : run.fail(name.position, badName(field))
}

/** RFC 5322 §3.6.8; not so long that the field could not be folded. */
const isFieldName = (name: string) => name.length <= 76 && /^[!-9;-~]+$/.test(name)

const badName = (name: string) =>
  `"${name.slice(0, 80)}" is no name of a header field: use letters, digits and "-", without a colon`
