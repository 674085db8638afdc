/**
 * The extension of test scripts, known as `vnd.dovecot.testsuite` in suites written for other implementations: tests with names, messages and envelopes, scripts that are compiled and run, and
 * what became of their actions. Settings of other servers are taken as far as they mean something here.
 */
import { messageInMemory } from '../../../sieve/in-memory.ts'
import type { Arguments, CommandSpec, Extension, Run, TagSpec, TestSpec } from '../../../sieve/language.ts'
import { octetsOf } from '../../../sieve/text.ts'
import type { Action } from '../../../sieve/types.ts'
import { pathOf } from '../message.ts'
import type { Suite } from './suite.ts'

const text = (name: string) => ({ name, type: 'string' }) as const
const number = (name: string) => ({ name, type: 'number' }) as const
const keys = { name: 'keys', type: 'string-list' } as const
const index: TagSpec = { name: 'index', value: 'number' }

export const testsuite = (suite: Suite): Extension => ({
  capability: 'vnd.dovecot.testsuite',
  commands: [...testCommands(suite), ...settingCommands(suite), ...sandboxCommands(suite)],
  tests: [...scriptTests(suite), ...resultTests(suite)],
})

const testCommands = (suite: Suite): readonly CommandSpec[] => {
  let depth = 0
  return [
    {
      name: 'test',
      positional: [text('name')],
      block: true,
      compile: (given) => (run) => {
        suite.begin(given.text('name').of(run))
        depth = run.depth
        const { position, block } = given
        run.enter([...block, { position, name: 'test', run: () => suite.end() }])
      },
    },
    {
      name: 'test_fail',
      positional: [text('reason')],
      compile: (given) => (run) => {
        suite.fail(`line ${given.position.line}: ${given.text('reason').of(run)}`)
        suite.end()
        run.leaveTo(depth)
      },
    },
    {
      name: 'test_set',
      positional: [text('name'), text('value')],
      compile: (given) => (run) => {
        const name = given.text('name').of(run).toLowerCase()
        const value = given.text('value').of(run)
        if (name === 'message') suite.setMessage(octetsOf(value))
        else if (name === 'envelope.from' || name === 'envelope.to')
          suite.envelope = { ...suite.envelope, [name.slice('envelope.'.length)]: pathOf(value) }
        // What there is no place for here.
        else if (!name.startsWith('envelope.')) run.fail(given.position, `there is no "${name}" to be set`)
        run.setMessage(messageInMemory(suite.octets, suite.envelope))
      },
    },
  ]
}

const settingCommands = ({ settings }: Suite): readonly CommandSpec[] => [
  {
    name: 'test_config_set',
    positional: [text('name'), text('value')],
    compile: (given) => (run) => void settings.set(given.text('name').of(run), given.text('value').of(run)),
  },
  {
    name: 'test_config_unset',
    positional: [text('name')],
    compile: (given) => (run) => void settings.delete(given.text('name').of(run)),
  },
  // Settings count at once.
  { name: 'test_config_reload', tags: [{ name: 'extension', value: 'string' }], compile: () => () => {} },
  { name: 'test_binary_save', positional: [text('name')], compile: () => () => {} },
  { name: 'test_binary_load', positional: [text('name')], compile: () => () => {} },
]

const sandboxCommands = (suite: Suite): readonly CommandSpec[] => [
  {
    name: 'test_mailbox_create',
    positional: [text('mailbox')],
    compile: (given) => (run) => suite.sandbox.create(given.text('mailbox').of(run)),
  },
  {
    name: 'test_imap_metadata_set',
    tags: [{ name: 'mailbox', value: 'string' }],
    positional: [text('annotation'), text('value')],
    compile: (given) => (run) =>
      suite.sandbox.annotate(
        given.findText('mailbox')?.of(run),
        given.text('annotation').of(run),
        given.text('value').of(run),
      ),
  },
  {
    name: 'test_result_reset',
    compile: () => (run) => {
      suite.result = undefined
      suite.sandbox.forgetSent()
      run.forgetActions()
    },
  },
  { name: 'test_result_print', compile: () => () => {} },
  {
    name: 'test_message',
    ...messageSpec,
    compile: (given) => (run) => {
      if (!showMessage(suite, given, run)) suite.fail(`line ${given.position.line}: there is no such message`)
    },
  },
]

const messageSpec = {
  tags: [
    { name: 'smtp', excludes: ['folder'] },
    { name: 'folder', value: 'string' },
  ] as readonly TagSpec[],
  positional: [number('at')],
}

function showMessage({ sandbox, envelope }: Suite, given: Arguments, run: Run): boolean {
  const at = given.number('at')
  const folder = given.findText('folder')?.of(run)
  const message = folder === undefined ? sandbox.sent(at) : sandbox.stored(folder, at, envelope)
  if (message !== undefined) run.setMessage(message)
  return message !== undefined
}

const scriptTests = (suite: Suite): readonly TestSpec[] => [
  {
    name: 'test_script_compile',
    positional: [text('file')],
    compile: (given) => async (run) => (await suite.compile(given.text('file').of(run))) !== undefined,
  },
  {
    name: 'test_script_run',
    tags: [{ name: 'append_result' }],
    compile: (given) => async () =>
      suite.script !== undefined && (await suite.runScripts([suite.script], given.has('append_result'))),
  },
  {
    name: 'test_multiscript',
    positional: [{ name: 'files', type: 'string-list' }],
    compile: (given) => async (run) => {
      const scripts = []
      for (const file of given.texts('files').of(run)) {
        const script = await suite.compile(file)
        if (script === undefined) return false
        scripts.push(script)
      }
      // It does at once what they ask for.
      if (!(await suite.runScripts(scripts, false))) return false
      return await suite.sandbox.perform(suite.result ?? [], suite.octets, suite.envelope)
    },
  },
  {
    name: 'test_error',
    matches: true,
    tags: [index],
    positional: [keys],
    compile: (given) => (run) => {
      const texts = suite.errors.map((error) => error.text)
      return given.matching.any(chosen(texts, given), run)
    },
  },
]

const resultTests = (suite: Suite): readonly TestSpec[] => [
  {
    name: 'test_result_action',
    matches: true,
    tags: [index],
    positional: [keys],
    compile: (given) => (run) => given.matching.any(chosen(resultOf(suite, run).map(nameOf), given), run),
  },
  {
    name: 'test_result_execute',
    compile: () => async (run) => await suite.sandbox.perform(resultOf(suite, run), suite.octets, suite.envelope),
  },
  { name: 'test_message', ...messageSpec, compile: (given) => (run) => showMessage(suite, given, run) },
]

/** `:index` counts from 1. */
const chosen = (values: readonly string[], given: Arguments): readonly string[] => {
  const at = given.findNumber('index')
  return at === undefined ? values : values.slice(at - 1, at)
}

/** Of a script that was run, or of the test script; with the implicit keep. */
function resultOf({ result }: Suite, run: Run): readonly Action[] {
  if (result !== undefined) return result
  const isDecided = run.actions.some(cancels)
  return isDecided ? run.actions : [...run.actions, { type: 'keep', implicit: true, message: run.message.edited }]
}

function cancels(action: Action): boolean {
  switch (action.type) {
    case 'fileinto':
    case 'redirect':
      return !action.copy
    case 'keep':
    case 'discard':
    case 'reject':
    case 'ereject':
      return true
    case 'vacation':
    case 'notify':
    case 'remember-duplicate':
      return false
  }
}

/** As suites call them. */
const nameOf = ({ type }: Action): string => (type === 'fileinto' ? 'store' : type === 'ereject' ? 'reject' : type)
