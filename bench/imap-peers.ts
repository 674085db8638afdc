/** The programs that a first synchronisation of an IMAP account is measured against: how each is told to fetch all mailboxes into fresh Maildirs. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { doveadmBackup, file, type Peer, wherry } from './peer.ts'

export const imapPeers: readonly Peer[] = [
  wherry('imap'),
  {
    name: 'mbsync',
    mostMessages: Number.POSITIVE_INFINITY,
    command: (from, directory) => {
      const mail = join(directory, 'mail')
      mkdirSync(mail)
      const settings =
        `IMAPStore far\nHost 127.0.0.1\nPort ${from.port}\nUser ${from.user}\nPass ${from.password}\nSSLType None\nAuthMechs LOGIN\nTimeout 300\n\n` +
        `MaildirStore near\nPath ${mail}/\nInbox ${mail}/INBOX\nSubFolders Verbatim\n\n` +
        'Channel both\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync Pull\nSyncState *\nCopyArrivalDate yes\n'
      return ['mbsync', '-q', '-c', file(directory, 'mbsyncrc', settings), '-a']
    },
  },
  {
    name: 'offlineimap',
    mostMessages: 1000,
    command: (from, directory) => {
      const settings =
        `[general]\nmetadata=${directory}/meta\naccounts=a\nmaxsyncaccounts=1\n[Account a]\nlocalrepository=l\nremoterepository=r\n` +
        `[Repository l]\ntype=Maildir\nlocalfolders=${directory}/mail\n[Repository r]\ntype=IMAP\nremotehost=127.0.0.1\nremoteport=${from.port}\nssl=no\nstarttls=no\n` +
        `remoteuser=${from.user}\nremotepass=${from.password}\nmaxconnections=4\nauth_mechanisms=LOGIN\nreadonly=True\n`
      return ['offlineimap', '-c', file(directory, 'offlineimaprc', settings), '-o', '-u', 'quiet']
    },
  },
  doveadmBackup('imapc', ['imapc_features = rfc822.size fetch-headers']),
]
