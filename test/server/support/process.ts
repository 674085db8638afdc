/** Processes of a test: output collected, none left behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './serving.ts'

export interface Started {
  readonly child: ChildProcess
  /** stdout and stderr. */
  readonly output: () => string
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
  /** Resolves when the output has `text`. Rejects when the process ends without. */
  says(text: string): Promise<void>
}

export interface Installation extends AsyncDisposable {
  readonly directory: string
  readonly configFile: string
  readonly runDirectory: string
  /** Writes ms.conf: these elements beside userdir, run_dir and msevent_host in the directory. */
  configure(elements: Readonly<Record<string, string | number | boolean>>): void
  start(command: string, args: readonly string[], env?: Readonly<Record<string, string>>): Started
}

export function installation(elements: Readonly<Record<string, string | number | boolean>> = {}): Installation {
  const directory = mkdtempSync(join(tmpdir(), 'installation-'))
  const configFile = join(directory, 'ms.conf')
  const runDirectory = join(directory, 'run')
  const children: ChildProcess[] = []
  const own: Installation = {
    directory,
    configFile,
    runDirectory,
    configure(more) {
      const all = {
        userdir: join(directory, 'user'),
        account_db: join(directory, 'accounts'),
        run_dir: runDirectory,
        msevent_host: join(directory, 'mseventd'),
        ms_user: 'root',
        ...more,
      }
      const text = Object.entries(all).map(([name, value]) => `  <${name}>${value}</${name}>\n`)
      writeFileSync(configFile, `<?xml version="1.0"?>\n<ms_options>\n${text.join('')}</ms_options>\n`)
    },
    start(command, args, env = {}) {
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
      children.push(child)
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text
        })
      let over = false
      const ended = new Promise<number | NodeJS.Signals>((resolve) => {
        child.on('close', (code, signal) => {
          over = true
          resolve(code ?? signal!)
        })
      })
      return {
        child,
        output: () => output,
        ended,
        async says(text) {
          await until(() => output.includes(text) || over)
          if (!output.includes(text)) throw new Error(`ended without saying ${text}:\n${output}`)
        },
      }
    },
    async [Symbol.asyncDispose]() {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        const closed = new Promise((resolve) => child.once('close', resolve))
        child.kill('SIGTERM')
        await closed
      }
      // Those that went into the background are nobody's children any more.
      for (const pid of pidFiles(runDirectory)) {
        process.kill(pid, 'SIGTERM')
        await until(() => !isAlive(pid))
      }
      rmSync(directory, { recursive: true, force: true })
    },
  }
  own.configure(elements)
  return own
}

/** Living processes that a test has left in the background. */
function pidFiles(runDirectory: string): readonly number[] {
  if (!existsSync(runDirectory)) return []
  const files = readdirSync(runDirectory).filter((name) => name.endsWith('.pid'))
  return files.map((name) => Number(readFileSync(join(runDirectory, name), 'latin1'))).filter(isAlive)
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
