/** Rules for the users of one domain: their quotas, and who administers them. MST-02, MST-05; docs/decisions/0221-domains.md */
import { Invalid, optionsOf, quote } from '../option.ts'
import type { XmlElement } from '../xml.ts'

const { custom } = optionsOf('ms_options')

/** Texts are as they were given: whoever uses them makes them canonical. */
export interface DomainRule {
  readonly domain: string
  /** KB, 0 is no limit; undefined: quota_limit counts. Of each user, not of all together. */
  readonly quotaLimit: number | undefined
  /** Messages; undefined: quota_messages counts. */
  readonly quotaMessages: number | undefined
  /** User ids; without a domain they are of this one. */
  readonly admins: readonly string[]
}

const services = ['imapd', 'pop3d', 'lmtpd', 'ms_syncd', 'msadm'] as const
const maxLimitKb = 8_796_093_022_207

const readDomainRule = (element: XmlElement): DomainRule => {
  for (const [name, { line }] of element.attributes)
    if (!['domain', 'quota_limit', 'quota_messages'].includes(name))
      throw new Invalid(`has the unknown attribute ${name}`, line)
  const given = (name: string) => element.attributes.get(name)
  const domain = given('domain')?.value.trim() ?? ''
  if (domain === '') throw new Invalid('lacks the attribute domain', element.line)
  if (!/^[\p{L}\p{M}\p{N}_-]+(?:\.[\p{L}\p{M}\p{N}_-]+)*$/u.test(domain))
    throw new Invalid(`${quote(domain)} is not a domain`, given('domain')?.line)
  const limit = (name: string) => {
    const text = given(name)?.value.trim()
    if (text === undefined) return undefined
    if (!/^\d{1,16}$/.test(text) || Number(text) > maxLimitKb)
      throw new Invalid(`${name} ${quote(text)} is not a whole number from 0 to ${maxLimitKb}`, given(name)?.line)
    return Number(text)
  }
  const admins = element.children.map((child) => {
    if (child.name !== 'admin') throw new Invalid(`has an element <${child.name}> inside`, child.line)
    for (const [name, { line }] of child.attributes)
      if (name !== 'name') throw new Invalid(`<admin> has the unknown attribute ${name}`, line)
    const name = child.attributes.get('name')?.value.trim() ?? ''
    if (name === '') throw new Invalid('<admin> lacks the attribute name', child.line)
    return name
  })
  return { domain, quotaLimit: limit('quota_limit'), quotaMessages: limit('quota_messages'), admins }
}

const attribute = (name: string, type: 'string' | 'integer', doc: string, parent = 'ms_options/domain_rule') => ({
  section: 'own',
  name,
  parent,
  type,
  services,
  doc,
})

export const domainRuleOptions = {
  domain_rule: custom<DomainRule | undefined>(
    {
      section: 'own',
      default: undefined,
      services,
      reload: 'live',
      repeatable: true,
      doc: 'Quotas of the users of one domain, and who administers them: an administrator of a domain may act for its users, and set their quotas.',
    },
    {
      type: 'list',
      valid: "<domain_rule domain='example.com' quota_limit='102400'> with <admin name='…'/> inside",
      attributes: [
        attribute('domain', 'string', 'The domain; not those below it. Required.'),
        attribute(
          'quota_limit',
          'integer',
          'Limit in KB on the mail of each user there without an own one; 0 is none.',
        ),
        attribute('quota_messages', 'integer', 'Limit on the number of messages of each user there; 0 is none.'),
        attribute('admin', 'string', 'An administrator of the domain.'),
        attribute(
          'name',
          'string',
          'Its user id; without a domain it is of the one of the rule.',
          'ms_options/domain_rule/admin',
        ),
      ],
      read: readDomainRule,
    },
  ),
}
