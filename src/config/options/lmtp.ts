/** Options of lmtpd that only this product has: who may connect to its socket, and which mail servers are believed. */
import { isIP } from 'node:net'
import { Invalid, optionsOf, quote, textOf } from '../option.ts'

const { boolean, custom } = optionsOf('ms_options')

export interface Network {
  readonly address: string
  /** Bits that count. */
  readonly prefix: number
}

export interface SocketOwner {
  readonly user: string
  /** Undefined: the user's own. */
  readonly group: string | undefined
}

export const lmtpOptions = {
  lmtp_trusted_hosts: custom<Network | undefined>(
    {
      section: 'own',
      default: undefined,
      repeatable: true,
      services: ['lmtpd'],
      reload: 'live',
      doc: 'Mail servers that hand mail over by TCP and are believed, as everybody is who connects to the Unix socket: they may say where they have a message from (XFORWARD), and need not log in (lmtp_auth_required).',
    },
    {
      type: 'string',
      valid: 'an IP address, or a network such as 192.0.2.0/24',
      read: (element) => {
        const text = textOf(element)
        const [address = '', bits, ...more] = text.split('/')
        const family = isIP(address)
        const most = family === 6 ? 128 : 32
        const prefix = bits === undefined ? most : Number(bits)
        const isNumber = bits === undefined || /^\d{1,3}$/.test(bits)
        if (family === 0 || address.includes('%') || !isNumber || prefix > most || more.length > 0)
          throw new Invalid(`${quote(text)} is neither an address nor a network`)
        return { address, prefix }
      },
    },
  ),
  lmtp_auth_required: boolean({
    section: 'own',
    default: false,
    services: ['lmtpd'],
    reload: 'live',
    doc: 'Clients that come by TCP and are not in lmtp_trusted_hosts have to log in (AUTH) before they hand mail over.',
  }),
  lmtp_socket_owner: custom<SocketOwner | undefined>(
    {
      section: 'own',
      default: undefined,
      services: ['lmtpd'],
      reload: 'restart',
      doc: "Whom the Unix socket of lmtpd belongs to, who alone may connect to it with his group: the user that the mail server's LMTP client runs as (Postfix: postfix). Unset: root, or whoever starts lmtpd, and the group of ms_user. Others than the starter take root at the start.",
    },
    {
      type: 'string',
      valid: 'a user, or user:group',
      read: (element) => {
        const text = textOf(element)
        const found = /^([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,63}))?$/.exec(text)
        if (found === null) throw new Invalid(`${quote(text)} is neither a user nor user:group`)
        return { user: found[1]!, group: found[2] }
      },
    },
  ),
}
