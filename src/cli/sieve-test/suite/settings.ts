/** What test scripts set of a server's configuration (`test_config_set`), as far as it means something here. */
import type { Environment, Score } from '../../../sieve/types.ts'

export function settingsEnvironment(
  settings: ReadonlyMap<string, string>,
): Pick<Environment, 'detailSeparator' | 'maxRedirects' | 'maxActions' | 'spam' | 'virus'> {
  const number = (name: string) => {
    const value = Number(settings.get(name) ?? Number.NaN)
    return Number.isInteger(value) ? value : undefined
  }
  return {
    detailSeparator: settings.get('recipient_delimiter'),
    maxRedirects: number('sieve_max_redirects'),
    maxActions: number('sieve_max_actions'),
    spam: scoreOf(settings, 'sieve_spamtest', 10),
    virus: scoreOf(settings, 'sieve_virustest', 5),
  }
}

/** `X-Spam-Score: score=(-?[[:digit:]]+)` */
function scoreOf(settings: ReadonlyMap<string, string>, prefix: string, steps: number): Score | undefined {
  const [field, pattern] = (settings.get(`${prefix}_status_header`) ?? '').split(/:\s*(.*)/s)
  if (field === undefined || field === '') return undefined
  const texts: Record<string, number> = {}
  for (let step = 0; step <= steps; step += 1) {
    const text = settings.get(`${prefix}_text_value${step}`)
    if (text !== undefined) texts[text] = step
  }
  const isText = settings.get(`${prefix}_status_type`) === 'text'
  return {
    field: field.trim(),
    max: Number(settings.get(`${prefix}_max_value`) ?? steps),
    ...(pattern === undefined || pattern === '' ? {} : { pattern: pattern.replaceAll('[[:digit:]]', '[0-9]') }),
    ...(isText ? { texts } : {}),
  }
}
