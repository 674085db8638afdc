/** Administration guide 5 and 2.1.5: shared folders and groups, and the key of obfuscated passwords. */
import { type AttributeRow, Invalid, type Option, optionsOf } from '../option.ts'
import type { XmlElement } from '../xml.ts'
import { everything, sharedFolders } from './services.ts'

const { custom } = optionsOf('ms_options')

export interface SharedRootAccess {
  readonly kind: 'user' | 'group'
  readonly name: string
  /** read, write, manage, all, none; empty denies everything. */
  readonly access: readonly string[]
}
export interface SharedRoot {
  readonly name: string
  readonly path: string
  readonly email: string | undefined
  readonly access: readonly SharedRootAccess[]
}
export interface Group {
  readonly name: string
  readonly users: readonly string[]
}
export interface ServiceKey {
  readonly service: string
  readonly verifier: string
}

/** The element's attributes; throws Invalid for one that is missing or not known. */
const attributesOf = (element: XmlElement, required: readonly string[], optional: readonly string[] = []) => {
  for (const [name, { line }] of element.attributes)
    if (!required.includes(name) && !optional.includes(name))
      throw new Invalid(`<${element.name}> has the unknown attribute ${name}`, line)
  for (const name of required)
    if ((element.attributes.get(name)?.value ?? '').trim() === '')
      throw new Invalid(`<${element.name}> lacks the attribute ${name}`, element.line)
  return (name: string) => element.attributes.get(name)?.value.trim() ?? ''
}

const permissions = ['none', 'read', 'write', 'manage', 'all']

const readSharedRoot = (element: XmlElement): SharedRoot => {
  const get = attributesOf(element, ['name', 'path'], ['email'])
  const access = element.children.map((child): SharedRootAccess => {
    if (child.name !== 'user' && child.name !== 'group')
      throw new Invalid(`has an element <${child.name}> inside`, child.line)
    const attribute = attributesOf(child, ['name'], ['access'])
    const words = attribute('access')
      .split(/[\s,]+/)
      .filter((word) => word !== '')
    const unknown = words.find((word) => !permissions.includes(word))
    if (unknown !== undefined)
      throw new Invalid(`access ${unknown} is none of ${permissions.join(', ')}`, child.attributes.get('access')?.line)
    return { kind: child.name, name: attribute('name'), access: words }
  })
  return { name: get('name'), path: get('path'), email: get('email') || undefined, access }
}

const readGroup = (element: XmlElement): Group => {
  const get = attributesOf(element, ['name'], ['type'])
  const users = element.children.map((child) => {
    if (child.name !== 'user') throw new Invalid(`has an element <${child.name}> inside`, child.line)
    return attributesOf(child, ['name'])('name')
  })
  return { name: get('name'), users }
}

const attribute = (section: string, name: string, parent: string, type: AttributeRow['type'], doc: string) => ({
  section,
  name,
  parent,
  type,
  services: sharedFolders,
  doc,
})

const sharedRoot: Option<SharedRoot | undefined> = custom<SharedRoot | undefined>(
  {
    section: '5',
    default: undefined,
    services: sharedFolders,
    reload: 'live',
    repeatable: true,
    doc: 'A hierarchy of shared mailboxes, `Shared Folders/<name>`, and who has which rights on it.',
  },
  {
    type: 'list',
    valid: "<shared_root name='…' path='…'> with <user name='…' access='read,write'/> and <group …/> inside",
    values: permissions,
    attributes: [
      { ...attribute('5.1', 'name', 'ms_options/shared_root', 'string', 'Name that users see, unique.'), ldap: 'cn' },
      {
        ...attribute(
          '5.2',
          'path',
          'ms_options/shared_root',
          'path',
          'Directory, unique; counts from shared_root_dir.',
        ),
        ldap: 'mailboxRoot',
      },
      {
        ...attribute(
          '5.3',
          'email',
          'ms_options/shared_root',
          'string',
          'Delivery address; a mailbox below may be named behind a plus sign. For lmtpd and msadm deliver.',
        ),
        services: ['lmtpd'],
        ldap: 'mail',
      },
      attribute('5.5', 'user', 'ms_options/shared_root', 'list', 'Rights of one user; wins over any group.'),
      attribute('5.5', 'group', 'ms_options/shared_root', 'list', 'Rights of a group, or of `anyone`.'),
      attribute(
        '5.5',
        'name',
        'ms_options/shared_root/user and ms_options/shared_root/group',
        'string',
        'Name of the user or group.',
      ),
      {
        ...attribute(
          '5.5 / 5.8',
          'access',
          'ms_options/shared_root/user and ms_options/shared_root/group',
          'list',
          'Permissions separated by commas; empty denies everything.',
        ),
        values: [...permissions, ''],
      },
    ],
    read: readSharedRoot,
  },
)

const group: Option<Group | undefined> = custom<Group | undefined>(
  {
    section: '5.9',
    default: undefined,
    services: sharedFolders,
    reload: 'live',
    repeatable: true,
    ldap: 'mboxGroup',
    doc: 'A group of users for the rights on shared folders. Members of `submit` may fetch what users authorised for submission (URLAUTH).',
  },
  {
    type: 'list',
    valid: "<group name='…'> with <user name='…'/> inside",
    attributes: [
      attribute('5.9', 'name', 'ms_options/group', 'string', 'Name of the group.'),
      attribute('5.9', 'type', 'ms_options/group', 'string', 'Without effect.'),
      { ...attribute('5.9', 'user', 'ms_options/group', 'list', 'A member.'), ldap: 'mboxGroupMember' },
      { ...attribute('5.9', 'name', 'ms_options/group/user', 'string', 'Its user id.'), ldap: 'mboxGroupMember' },
    ],
    read: readGroup,
  },
)

const serviceKey: Option<ServiceKey | undefined> = custom<ServiceKey | undefined>(
  {
    section: '2.1.5',
    default: undefined,
    services: [...everything, 'spasscrypt', 'spassmgt'],
    reload: 'restart',
    doc: 'The service key (spassmgt) with which passwords in this file are encrypted (spasscrypt).',
  },
  {
    type: 'string',
    valid: '<servpass:info service="…" verifier="…"/>',
    attributes: [
      {
        section: '2.1.5',
        name: 'servpass:encrypt',
        parent: '(attribute on any password element)',
        type: 'boolean',
        services: [...everything, 'spasscrypt'],
        values: ['true'],
        doc: 'The text is encrypted, or will be by the next spasscrypt -e.',
      },
    ],
    read: (element) => {
      const get = attributesOf(element, ['service', 'verifier'])
      return { service: get('service'), verifier: get('verifier') }
    },
  },
)

export const sharedFolderOptions = { shared_root: sharedRoot, group, 'servpass:info': serviceKey }
