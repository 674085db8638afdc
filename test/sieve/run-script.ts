/** A script on a message, both as text. */
import { compile } from '#src/sieve/compile.ts'
import { messageInMemory } from '#src/sieve/in-memory.ts'
import { run } from '#src/sieve/run.ts'
import type { Environment, Outcome } from '#src/sieve/types.ts'

export const crlf = (text: string) => text.replace(/\r?\n/g, '\r\n')

const usual =
  'From: coyote@desert.example.org\nTo: roadrunner@acme.example.com\nSubject: I have a present for you\nMessage-ID: <1@desert.example.org>\n\nhi\n'

/** Throws what is wrong with the script. */
export async function runScript(
  script: string,
  {
    message = usual,
    from = 'coyote@desert.example.org',
    to = 'roadrunner@acme.example.com',
    ...environment
  }: Partial<Environment> & { message?: string; from?: string; to?: string } = {},
): Promise<Outcome> {
  const compiled = compile(Buffer.from(script))
  if ('errors' in compiled) throw new Error(compiled.errors.map(({ line, text }) => `${line}: ${text}`).join('\n'))
  const octets = Buffer.from(crlf(message))
  return await run([compiled.script], messageInMemory(octets, { from, to }), { now: 0, ...environment })
}

export const faultsOf = (script: string): readonly string[] => {
  const compiled = compile(Buffer.from(script))
  return 'errors' in compiled ? compiled.errors.map(({ text }) => text) : []
}
