/** Administration guide 2.2.13 to 2.2.15: directories, files, resources, routing attributes. */
import { optionsOf } from '../option.ts'
import { daemons } from './services.ts'

const { boolean, integer, path } = optionsOf('ms_options')

export const fileOptions = {
  run_dir: path({
    section: '2.2.13.1',
    default: '/var/run',
    services: daemons,
    reload: 'restart',
    ldap: 'mboxRunDir',
    doc: 'Directory of pid files.',
  }),
  cache_tmpdir: path({
    section: '2.2.13.2',
    default: '/tmp',
    later: 'nothing: no service makes temporary files outside of the store',
    services: ['imapd', 'pop3d'],
    reload: 'restart',
    ldap: 'mboxCacheTmpDir',
    doc: 'Directory for temporary files of imapd and pop3d.',
  }),
  telemetry_log: path({
    section: '2.2.13.3',
    later: 'telemetry logs',
    services: ['imapd', 'pop3d', 'sieved', 'ms_syncd'],
    reload: 'live',
    ldap: 'mboxTelemetryLogDir',
    doc: "Directory of protocol traces: a user is traced when it has a directory of the user's name.",
  }),
  ms_sync_userdb: path({
    section: '2.2.13.4',
    default: '/etc/isode/ms_sync.xml',
    services: ['ms_syncd'],
    reload: 'live',
    ldap: 'mboxSyncUserdb',
    doc: 'File with the backends of single users and domains.',
  }),
  ms_sync_sasl_lookup: boolean({
    section: '2.2.13.5',
    default: true,
    services: ['ms_syncd'],
    reload: 'live',
    doc: 'With users in the directory (auxprop_plugin), looks the backends of a user up in his entry first. Whose entry names none is looked up in the file.',
  }),
  thread_pool_min: integer({
    section: '2.2.14.1',
    default: 1,
    min: 1,
    max: 1024,
    services: daemons,
    reload: 'restart',
    doc: 'Fewest workers of a service; the number is that of the cores, held between min and max.',
  }),
  thread_pool_max: integer({
    section: '2.2.14.2',
    default: 8,
    min: 1,
    max: 1024,
    services: daemons,
    reload: 'restart',
    doc: 'Most workers of a service.',
  }),
  use_mmap: boolean({
    section: '2.2.14.3',
    default: true,
    later: 'nothing: message files are streamed, and mapping them would gain nothing',
    services: ['imapd', 'pop3d'],
    reload: 'restart',
    doc: 'Maps message files into memory.',
  }),
  max_net_buffer: integer({
    section: '2.2.14.4',
    default: 131072,
    unit: 'bytes',
    min: 4096,
    services: ['imapd', 'pop3d', 'lmtpd', 'sieved', 'mseventd'],
    reload: 'live',
    doc: 'Outgoing octets of a session at which a client that does not read is cut off.',
  }),
  auto_add_laser_routing: boolean({
    section: '2.2.15.1',
    default: true,
    services: ['msadm'],
    reload: 'live',
    doc: '`msadm add` gives a new account the properties mail and mailLocalAddress.',
  }),
}
