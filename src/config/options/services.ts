/** Sets of services that many options share. */
import type { Service } from '../option.ts'

export const everything: readonly Service[] = [
  'imapd',
  'pop3d',
  'lmtpd',
  'sieved',
  'mseventd',
  'msadmind',
  'ms_syncd',
  'msadm',
  'msstat',
]
export const daemons: readonly Service[] = ['imapd', 'pop3d', 'lmtpd', 'sieved', 'mseventd', 'msadmind', 'ms_syncd']
export const logins: readonly Service[] = ['imapd', 'pop3d', 'sieved']
export const tlsUsers: readonly Service[] = ['imapd', 'pop3d', 'sieved', 'lmtpd', 'mseventd', 'msstat', 'ms_syncd']
export const directoryUsers: readonly Service[] = ['imapd', 'pop3d', 'sieved', 'lmtpd', 'ms_syncd', 'msadm']
export const sharedFolders: readonly Service[] = ['imapd', 'lmtpd', 'msadmind', 'msadm']
