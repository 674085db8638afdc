/** The programs that a first synchronisation is measured against: how each is told to fetch a whole maildrop into a fresh Maildir. */
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { asNobody, doveadmBackup, file, maildir, nobody, type Peer, wherry } from './peer.ts'

const node = process.execPath
const here = import.meta.dirname

export const pop3Peers: readonly Peer[] = [
  {
    name: 'raw reader, window 64',
    mostMessages: Number.POSITIVE_INFINITY,
    command: (from) => [node, join(here, 'raw-reader.ts'), String(from.port), from.user, from.password, '64'],
  },
  wherry('pop'),
  {
    name: 'mpop',
    mostMessages: Number.POSITIVE_INFINITY,
    command: (from, directory) => {
      const settings = `account a\nhost 127.0.0.1\nport ${from.port}\nuser ${from.user}\npassword ${from.password}\nauth user\ntls off\nkeep on\nuidls_file ${directory}/uidls\nreceived_header off\ndelivery maildir ${maildir(directory)}\n`
      return ['mpop', '-q', '-Q', '-C', file(directory, 'mpoprc', settings), 'a']
    },
  },
  {
    name: 'fetchmail',
    mostMessages: 1000,
    command: (from, directory) => {
      const target = maildir(directory)
      const delivery = file(directory, 'procmailrc', `MAILDIR=${target}\nDEFAULT=${target}/\n`)
      const settings = `set no bouncemail\nset no spambounce\npoll 127.0.0.1 protocol POP3 port ${from.port} timeout 600 uidl no dns\n  user "${from.user}" password "${from.password}" sslproto "" keep fetchall batchlimit 0 mda "/usr/bin/procmail ${delivery}"\n`
      const path = file(directory, 'fetchmailrc', settings)
      return [
        'env',
        `HOME=${directory}`,
        `FETCHMAILHOME=${directory}`,
        'fetchmail',
        '-f',
        path,
        '-s',
        '--nosyslog',
        '--pidfile',
        `${directory}/pid`,
        '-i',
        `${directory}/ids`,
      ]
    },
  },
  {
    name: 'getmail',
    mostMessages: 1000,
    command: (from, directory) => {
      const target = maildir(directory)
      const settings = `[retriever]\ntype=SimplePOP3Retriever\nserver=127.0.0.1\nport=${from.port}\nusername=${from.user}\npassword=${from.password}\n[destination]\ntype=Maildir\npath=${target}/\n[options]\ndelete=false\nread_all=true\ndelivered_to=false\nreceived=false\nverbose=0\n`
      const path = file(directory, 'getmailrc', settings)
      const run = ['env', `HOME=${directory}`, 'getmail', '--getmaildir', directory, '--rcfile', 'getmailrc']
      if (process.getuid?.() !== 0) return run
      // getmail refuses to deliver as root
      for (const owned of [directory, path, target, ...['cur', 'new', 'tmp'].map((part) => join(target, part))])
        chownSync(owned, nobody, nobody)
      return asNobody(run)
    },
  },
  doveadmBackup('pop3c', []),
]
