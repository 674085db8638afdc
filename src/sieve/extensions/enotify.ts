/** Telling somebody of a message. RFC 5435; mailto: RFC 5436 */

import { outboundAddress } from '../address.ts'
import type { Extension, Run, Text } from '../language.ts'
import { readMailto } from '../mailto.ts'

/** A URI of a method that can be used here; what is wrong with another one. */
function methodProblem(uri: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase()
  if (scheme === undefined) return `"${uri.slice(0, 100)}" is no URI: write one such as "mailto:user@example.org"`
  if (scheme !== 'mailto') return `nobody can be notified by "${scheme}:" here: use "mailto:"`
  return readMailto(uri) === undefined
    ? `"${uri.slice(0, 100)}" names nobody whom mail can be sent to: write it as "mailto:user@example.org"`
    : undefined
}

const checked = (text: Text, run: Run): string => {
  const uri = text.of(run)
  const problem = methodProblem(uri)
  if (problem !== undefined) run.fail(text.position, problem)
  return uri
}

export const enotify: Extension = {
  capability: 'enotify',
  commands: [
    {
      name: 'notify',
      positional: [{ name: 'method', type: 'string' }],
      tags: [
        { name: 'from', value: 'string' },
        { name: 'importance', value: 'string' },
        { name: 'options', value: 'string-list' },
        { name: 'message', value: 'string' },
      ],
      compile(given, context) {
        const method = given.text('method')
        const from = given.findText('from')
        const importance = given.findText('importance')
        const problem = method.constant === undefined ? undefined : methodProblem(method.constant)
        if (problem !== undefined) context.error(method.position, problem)
        if (from?.constant !== undefined && outboundAddress(from.constant) === undefined)
          context.error(from.position, notAnAddress(from.constant))
        if (importance?.constant !== undefined && findImportance(importance.constant) === undefined)
          context.error(importance.position, noImportance)
        return (run: Run) => {
          const sender = from?.of(run)
          // A sender that is none is left out, and the notification comes from here. RFC 5435 §3.3
          const isUsable = sender === undefined || outboundAddress(sender) !== undefined
          if (!isUsable) run.warn(from!.position, notAnAddress(sender))
          const level = findImportance(importance?.of(run) ?? '2')
          if (level === undefined) run.fail(importance!.position, noImportance)
          run.act(
            given.decorate(
              {
                type: 'notify',
                method: checked(method, run),
                from: isUsable ? sender : undefined,
                importance: level,
                options: given.findTexts('options')?.of(run) ?? [],
                message: given.findText('message')?.of(run),
              },
              run,
            ),
            given.position,
          )
        }
      },
    },
  ],
  tests: [
    {
      name: 'valid_notify_method',
      positional: [{ name: 'notification-uris', type: 'string-list' }],
      compile(given) {
        const uris = given.texts('notification-uris')
        return async (run) => {
          for (const uri of uris.of(run)) {
            if (methodProblem(uri) !== undefined) return false
            if ((await run.environment.isNotifyMethod?.(uri)) === false) return false
          }
          return true
        }
      },
    },
    {
      name: 'notify_method_capability',
      positional: [
        { name: 'notification-uri', type: 'string' },
        { name: 'notification-capability', type: 'string' },
        { name: 'keys', type: 'string-list' },
      ],
      matches: true,
      compile(given) {
        const uri = given.text('notification-uri')
        const capability = given.text('notification-capability')
        return async (run) => {
          const asked = uri.of(run)
          if (methodProblem(asked) !== undefined) return false
          const name = capability.of(run).toLowerCase()
          const known = await run.environment.notifyCapability?.(asked, name)
          // Whether somebody reads his mail now is not known. RFC 5436 §2.6 and RFC 5435 §5
          const value = known ?? (name === 'online' ? 'maybe' : undefined)
          return value === undefined ? false : given.matching.any([value], run)
        }
      },
    },
  ],
}

const noImportance = 'the importance is "1" (high), "2" or "3" (low)'

const findImportance = (text: string): 1 | 2 | 3 | undefined =>
  text === '1' ? 1 : text === '2' ? 2 : text === '3' ? 3 : undefined

const notAnAddress = (text: string) =>
  `"${text.slice(0, 100)}" is no address to notify from: write one such as "user@example.org"`
