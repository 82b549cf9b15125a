/** The command line, as a user runs it. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inspect } from '../cli/inspect/inspect.ts'
import { BatchNorm1d, foldIntoPrevious, loadSafetensors, saveSafetensors, tensor } from '../lib/index.ts'
import packageJson from '../package.json' with { type: 'json' }
import { natives } from './support/backends.ts'
import { bundledCommand, removeBundles } from './support/bundle.ts'
import { evaluate, evaluateBatchNorm } from './support/layers.ts'
import { below, normal, trained } from './support/module.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-cli-'))
const at = (name: string) => join(folder, name)
afterAll(() => {
  rmSync(folder, { recursive: true })
  removeBundles()
})

let main: string
const run = (...words: string[]) => runWith({}, ...words)
const runWith = (environment: NodeJS.ProcessEnv, ...words: string[]) =>
  new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const options = { env: { ...process.env, ...environment } }
    const child = execFile(process.execPath, [main, ...words], options, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    )
  })

/** Ends a line, clears the screen, turns the direction of writing, and is not seen: a tag, of two UTF-16 units. */
const hostile = 'a\n\x1b[2J\u202ecba\u200b\u{e0041}'

const [bn1, bn2] = [trained(4), trained(3, { center: false })]
bn1.weight?.data.set([1, 0, 1, 1])
const layers = {
  fc1: { weight: normal([4, 5], 1), bias: normal([4], 2) },
  fc2: { weight: normal([3, 4], 3), bias: null },
}

beforeAll(async () => {
  main = await bundledCommand()
  saveSafetensors(
    at('model.safetensors'),
    new Map([
      ['fc1.weight', layers.fc1.weight],
      ['fc1.bias', layers.fc1.bias],
      ...below('bn1', bn1),
      ['fc2.weight', layers.fc2.weight],
      ...below('bn2', bn2),
      ['steps', tensor(BigInt64Array.of(12n), [1])],
    ]),
    { format: 'pt', note: 'kept' },
  )
  saveSafetensors(at('plain.safetensors'), { weight: normal([2], 1) })
  // The same model in two shards; a batch norm and its layer lie in both.
  using model = loadSafetensors(at('model.safetensors'))
  const shards = [...model.tensors].map(
    ([key, value], at) => [key, value, `shard-${at % 2}.safetensors`] as const,
  )
  for (const [, , file] of shards) {
    const own = shards.filter(([, , other]) => other === file).map(([key, value]) => [key, value] as const)
    saveSafetensors(at(file), own, model.metadata)
  }
  const weight_map = Object.fromEntries(shards.map(([key, , file]) => [key, file]))
  writeFileSync(at('index.json'), JSON.stringify({ metadata: { total_size: 1 }, weight_map }))
  writeFileSync(at('astray.json'), JSON.stringify({ weight_map: { a: '../a.safetensors' } }))
  writeFileSync(at('broken.safetensors'), 'not a safetensors file')
  writeFileSync(at('taken.safetensors'), 'mine')
  writeFileSync(at('empty.safetensors'), '')
  writeFileSync(at('other.json'), '{"hidden_size":768}')
  writeFileSync(at('model.onnx'), 'not a model')
  writeFileSync(at('model.gguf'), 'GGUF\x03\0\0\0')
  mkdirSync(at('folder'))
  saveSafetensors(at('hostile.safetensors'), below(hostile, bn1))
})

describe('inspect', () => {
  test('lists the batch norms and what is wrong with each', async () => {
    const { code, stdout, stderr } = await run('inspect', at('model.safetensors'))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(/^batch norm {2}features {2}type {2}batches {2}findings$/)
    expect(lines[2]).toMatch(/^bn1 +4 {2}F32 +1 {2}dead scale in 1 of 4: \[1\]$/)
    expect(lines[3]).toMatch(/^bn2 +3 {2}F32 +1 {2}ok$/)
    expect(stdout).toContain('dead scale: |weight| below 1e-4 of the largest')
  })

  test('tells the same as JSON', async () => {
    const { stdout } = await run('inspect', at('model.safetensors'), '--json')
    expect(JSON.parse(stdout)).toEqual([
      { prefix: 'bn1', type: 'F32', numFeatures: 4, numBatchesTracked: 1, findings: { 'dead scale': [1] } },
      { prefix: 'bn2', type: 'F32', numFeatures: 3, numBatchesTracked: 1, findings: {} },
    ])
  })

  test('lists the others beside one that no module can load', async () => {
    const file = at('misfit.safetensors')
    saveSafetensors(file, [
      ...below('bn1', bn1),
      ['bn2.running_mean', normal([3], 1)],
      ['bn2.running_var', normal([2, 2], 1)],
    ])
    const [plain, json] = await Promise.all([run('inspect', file), run('inspect', file, '--json')])
    expect(plain).toMatchObject({ code: 0, stderr: '' })
    expect(plain.stdout).toMatch(/^bn1 .*dead scale/m)
    expect(plain.stdout).toMatch(/^bn2 +3 {2}F32 +- +misfit: running_var is F32 \[2, 2\]$/m)
    expect(plain.stdout).toContain('\nmisfit: a tensor of another shape')
    expect(JSON.parse(json.stdout)).toMatchObject([
      { prefix: 'bn1', findings: { 'dead scale': [1] } },
      { prefix: 'bn2', findings: { misfit: [{ key: 'running_var', type: 'F32', shape: [2, 2] }] } },
    ])
  })

  describe('--data', () => {
    const healthy = new BatchNorm1d(4)
    for (let seed = 0; seed < 100; seed++) healthy.forward(normal([64, 4], seed))
    const moved = ({ data, shape }: ReturnType<typeof normal>) =>
      tensor(
        data.map((value) => 3 * value + 2),
        shape,
      )
    const early = new BatchNorm1d(4, { momentum: 0.01 })
    for (let seed = 0; seed < 30; seed++) early.forward(moved(normal([64, 4], seed)))
    const inspectData = (data: string, ...words: string[]) =>
      run('inspect', at('norms.safetensors'), '--data', at(data), ...words)

    beforeAll(() => {
      saveSafetensors(at('norms.safetensors'), [
        ...below('healthy', healthy),
        ...below('moved', healthy),
        ...below('early', early),
        ...below('other', healthy),
        ['misfit.running_mean', normal([3], 1)],
        ['misfit.running_var', normal([2, 2], 1)],
      ])
      saveSafetensors(at('inputs.safetensors'), [
        ...[10, 9, 0, 1, 2, 3].map((at) => [`healthy.input.${at}`, normal([64, 4], 200 + at)] as const),
        ['early.input', moved(normal([64, 4], 400))],
        ['moved.input', moved(normal([64, 4, 2], 300))],
      ])
      saveSafetensors(at('alone.safetensors'), healthy.stateDict())
      saveSafetensors(at('alone-input.safetensors'), { input: normal([64, 4], 200) })
      const wrong = {
        unknown: ['bn9.input', normal([64, 4], 1)],
        label: ['healthy.input.x', normal([64, 4], 1)],
        channels: ['healthy.input', normal([4, 64], 1)],
        flat: ['healthy.input', normal([4], 1)],
        integers: ['healthy.input', tensor(BigInt64Array.of(1n, 2n, 3n, 4n), [1, 4])],
        single: ['healthy.input', normal([1, 4], 1)],
      } as const
      for (const [name, [key, value]] of Object.entries(wrong)) {
        saveSafetensors(at(`${name}.safetensors`), { [key]: value })
      }
    })

    test('says of each batch norm why train and eval differ, and which have no data', async () => {
      const { code, stdout, stderr } = await inspectData('inputs.safetensors')
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/^healthy +4 {2}F32 +100 +ok$/m)
      expect(stdout).toMatch(
        /^healthy: gap 0\.1\d+, after recalibrate 0\.0\d+ \(.*; 6 batches of 64 values\)\n {2}nothing is wrong$/m,
      )
      expect(stdout).toMatch(
        /^moved: gap \S+, .*; 1 batch of 128 values\)\n {2}drift, 100 % of the gap, in 4 of 4: all\. /m,
      )
      expect(stdout).toMatch(/^ {4}remedy: recalibrate on data like these/m)
      expect(stdout).toMatch(/^other: no data$/m)
      expect(stdout).toMatch(/^misfit: not compared with data, since no module loads it$/m)
    })

    test('tells the same as JSON, for the momentum that is told', async () => {
      const [json, slow, average] = await Promise.all(
        [[], ['--momentum', '0.01'], ['--momentum', 'null']].map((words) =>
          inspectData('inputs.safetensors', '--json', ...words),
        ),
      )
      const gaps = JSON.parse(json.stdout).map(({ prefix, gap }: { prefix: string; gap: object }) => ({
        prefix,
        gap,
      }))
      expect(gaps).toMatchObject([
        { prefix: 'early', gap: { verdicts: [{ name: 'drift' }] } },
        { prefix: 'healthy', gap: { name: 'healthy', batches: 6, verdicts: [] } },
        { prefix: 'misfit', gap: null },
        {
          prefix: 'moved',
          gap: {
            batches: 1,
            channels: [{ scatter: { mean: 'NaN' } }, {}, {}, {}],
            verdicts: [{ name: 'drift' }],
          },
        },
        { prefix: 'other', gap: null },
      ])
      const verdictsOfEarly = ({ stdout }: typeof slow) =>
        JSON.parse(stdout)[0].gap.verdicts.map(({ name }: { name: string }) => name)
      expect([slow, average].map(verdictsOfEarly)).toEqual([['not arrived'], ['drift']])
    })

    test('of the file of a module alone it is the input', async () => {
      const file = ['inspect', at('alone.safetensors'), '--data', at('alone-input.safetensors')]
      expect((await run(...file)).stdout).toMatch(/^\(the file itself\): gap /m)
    })

    test.each([
      ['unknown', "the input of a batch norm but received ['bn9.input'] (such are early.input, "],
      ['label', "but received ['healthy.input.x']"],
      ['channels', 'Expected healthy.input of '],
      ['flat', 'of shape [N, 4, ...] but received [4] (as healthy has channels)'],
      ['integers', 'to be one of F32, F64, BF16, F16'],
      ['single', 'Expected batches of more than 1 value a channel for healthy but received single values'],
      ['nowhere', 'nowhere.safetensors'],
    ])('what does not fit is an error: %s', async (name, message) => {
      // Without a process for each: how the command ends after an error is tested below.
      const options = { eps: 1e-5, json: false, force: false, data: at(`${name}.safetensors`) }
      await expect(inspect(at('norms.safetensors'), options)).rejects.toThrow(message)
    })

    test.each([
      [['--momentum', '0.1'], 'Expected --momentum together with --data'],
      [['--data', 'inputs.safetensors', '--momentum', '2'], 'Expected a number from 0 to 1, or null.'],
    ])('a wrong call is one: %j', async (words, message) => {
      const { code, stderr } = await run('inspect', at('norms.safetensors'), ...words)
      expect(code).toBe(2)
      expect(stderr).toContain(message)
    })
  })

  test('names of anybody stay on their line and are seen as they are, in every form', async () => {
    const file = at('hostile.safetensors')
    const fold = ['fold', file, '--into', 'fc1=bn9', '-o', at('never.safetensors')]
    const [table, json, , error] = await Promise.all([
      run('inspect', file),
      run('inspect', file, '--json'),
      run('inspect', file, '--html', at('hostile.html')),
      run(...fold),
    ])
    expect(table.stdout).toMatch(/^a\\u000a\\u001b\[2J\\u202ecba\\u200b\\udb40\\udc41 +4 /m)
    expect(JSON.parse(json.stdout)).toMatchObject([{ prefix: hostile }])
    expect(error.stderr).toContain('2J\\u202ecba')
    const page = readFileSync(at('hostile.html'), 'utf8')
    expect(page).toContain('2J\\u202ecba')
    const texts = [table.stdout, json.stdout, error.stderr, page]
    for (const text of texts) expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u)
  })

  test('writes a page', async () => {
    const { code, stdout } = await run('inspect', at('model.safetensors'), '--html', at('page.html'))
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `Wrote ${at('page.html')}: 2 batch norms, 1 with findings.\n`,
    })
    const pictures = [...readFileSync(at('page.html'), 'utf8').matchAll(/<svg [^>]*aria-label="([^:"]*)/g)]
    const ofOne = ['Scale', 'Shift', 'Running standard deviation', 'Running mean']
    // The second has no bias.
    const ofOther = ofOne.filter((name) => name !== 'Shift')
    expect(pictures.map(([, name]) => name)).toEqual([...ofOne, ...ofOther])
  })

  test('says when there is none', async () => {
    const { code, stdout } = await run('inspect', at('plain.safetensors'))
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'No batch norm: no key ends in running_mean with a running_var beside it.\n',
    })
  })
})

test('fold makes one layer of two, keeps all else and the metadata', async () => {
  const output = at('folded.safetensors')
  const words = ['--into', 'fc1=bn1', '--into', 'fc2=bn2', '-o', output]
  const { code, stdout, stderr } = await run('fold', at('model.safetensors'), ...words)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^fc1 +bn1 +4 /m)
  using file = loadSafetensors(output)
  expect(new Set(file.tensors.keys())).toEqual(
    new Set(['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias', 'steps']),
  )
  expect(file.metadata).toEqual({ format: 'pt', note: 'kept' })
  expect(file.get('steps').data).toEqual(BigInt64Array.of(12n))
  for (const [name, bn] of [
    ['fc1', bn1],
    ['fc2', bn2],
  ] as const) {
    const layer = layers[name]
    const x = {
      data: Float64Array.from(normal([6, layer.weight.shape[1]], 8).data),
      shape: [6, layer.weight.shape[1]],
    }
    const expected = evaluateBatchNorm(bn, evaluate(layer, x))
    const folded = { weight: file.get(`${name}.weight`), bias: file.get(`${name}.bias`) } as typeof layers.fc1
    const actual = evaluate(folded, x)
    actual.data.forEach((value, index) => {
      expect(Math.abs(value - expected.data[index])).toBeLessThanOrEqual(
        2 ** -24 * 1.001 * actual.magnitude[index],
      )
    })
  }
})

test('a checkpoint in shards is inspected and folded by its index, as the one file', async () => {
  const outputs = ['model.safetensors', 'index.json'].map(async (name) => {
    const output = at(`${name}.folded`)
    const inspected = await run('inspect', at(name))
    const folded = await run('fold', at(name), '--into', 'fc1=bn1', '--into', 'fc2=bn2', '-o', output)
    expect([inspected.stderr, folded.stderr]).toEqual(['', ''])
    return [inspected.stdout, readFileSync(output)]
  })
  const [whole, sharded] = await Promise.all(outputs)
  expect(sharded).toEqual(whole)
})

test('fold is told which layers are transposed convolutions', async () => {
  const [weight, output] = [normal([4, 4, 3], 7), at('transposed.safetensors')]
  saveSafetensors(at('square.safetensors'), new Map([['up.weight', weight], ...below('bn', bn1.eval())]))
  const fold = (...said: string[]) =>
    run('fold', at('square.safetensors'), '--into', 'up=bn', '-o', output, '--force', ...said)
  for (const [said, transposed] of [
    [['--transposed', 'up'], true],
    [['--none-transposed'], false],
  ] as const) {
    expect(await fold(...said)).toMatchObject({ code: 0, stderr: '' })
    using file = loadSafetensors(output)
    expect(file.get('up.weight')).toEqual(foldIntoPrevious({ weight, transposed }, bn1.eval()).layer.weight)
  }
  expect(await fold()).toMatchObject({ code: 1, stderr: expect.stringMatching(/--transposed up, or --none/) })
  expect(await fold('--transposed', 'up', '--none-transposed')).toMatchObject({ code: 2 })
})

test('fold --force writes over a file', async () => {
  const output = at('again.safetensors')
  saveSafetensors(output, { weight: normal([2], 1) })
  const { code } = await run('fold', at('model.safetensors'), '--into', 'fc1=bn1', '-o', output, '--force')
  expect(code).toBe(0)
  using file = loadSafetensors(output)
  expect(
    new BatchNorm1d(3, { center: false }).loadStateDict(
      Object.fromEntries(
        ['weight', 'running_mean', 'running_var', 'num_batches_tracked'].map((key) => [
          key,
          file.get(`bn2.${key}`),
        ]),
      ) as never,
    ),
  ).toEqual({ missingKeys: [], unexpectedKeys: [] })
})

describe('bench', () => {
  const shape = ['bench', '--shape', '3,2', '--shape', '2,3,5']

  test('measures three operations on each backend and the copy, for each shape', async () => {
    const { code, stdout, stderr } = await run(...shape, '--threads', '1', '--json')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { results, loadError, threads, instructionSet } = JSON.parse(stdout)
    const backends = loadError === null ? ['native', 'typescript'] : ['typescript']
    const operations = backends.flatMap((backend) =>
      ['forward', 'backward', 'eval'].map((operation) => [backend, operation]),
    )
    expect(
      results.map((each: Record<string, unknown>) => [each.shape, each.backend, each.operation]),
    ).toEqual(
      [
        [3, 2],
        [2, 3, 5],
      ].flatMap((each) =>
        [[null, 'copy'], ...operations].map(([backend, operation]) => [each, backend, operation]),
      ),
    )
    for (const { median, lowerQuartile, upperQuartile, gigabytesPerSecond, timesCopy } of results) {
      expect(lowerQuartile).toBeGreaterThan(0)
      expect(median).toBeGreaterThanOrEqual(lowerQuartile)
      expect(upperQuartile).toBeGreaterThanOrEqual(median)
      expect(gigabytesPerSecond).toBeGreaterThan(0)
      expect(timesCopy).toBeGreaterThan(0)
    }
    expect(threads).toBe(1)
    expect(instructionSet === null).toBe(loadError !== null)
  })

  test('says why the native backend is not among them', async () => {
    const { code, stdout } = await runWith({ BATCHNORM_PREBUILD: at('folder') }, ...shape.slice(0, 3))
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^The native addon did not load, so the TypeScript backend alone is measured: \S.*folder/m,
    )
    expect(stdout).toMatch(/^\(3, 2\) typescript backward +\d/m)
    expect(stdout).not.toMatch(/^\(3, 2\) native/m)
  })
})

describe.concurrent('doctor', () => {
  test.runIf(natives.length > 0)('names the backend and the file of its addon', async () => {
    const { code, stdout, stderr } = await run('doctor')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^backend +native$/m)
    expect(stdout).toMatch(new RegExp(`^instruction set +${natives[0]?.instructionSet}$`, 'm'))
    expect(stdout).toMatch(/^addon +\/.*\.node$/m)
  })

  test('says why the addon did not load and what to do, and what is missing for that', async () => {
    const nothing = { BATCHNORM_PREBUILD: at('folder'), PATH: at('folder') }
    const { code, stdout, stderr } = await runWith(nothing, 'doctor')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^BATCHNORM_PREBUILD +.*folder$/m)
    expect(stdout).toMatch(/^backend +typescript$/m)
    expect(stdout).toMatch(/^why not native +No native build was found .*folder/m)
    expect(stdout).toMatch(
      /^what to do +npx batchnorm build.*; here is no C\+\+ compiler, no make, no Python 3$/m,
    )
  })
})

describe.concurrent('build, where there is no compiler,', () => {
  const withoutCompiler = (...words: string[]) => runWith({ PATH: at('folder'), CXX: '' }, 'build', ...words)
  const message = /Expected a C\+\+17 compiler.* but received no C\+\+ compiler, no make, no Python 3\n$/

  test('is one line that names what is missing', async () => {
    expect(await withoutCompiler()).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(message) })
  })

  test('says so and succeeds with --optional', async () => {
    const said = await withoutCompiler('--optional')
    expect(said).toEqual({ code: 0, stdout: expect.stringMatching(message), stderr: '' })
  })
})

test('--help and --version', async () => {
  const help = await run('--help')
  expect(help).toMatchObject({ code: 0, stderr: '' })
  expect(help.stdout).toMatch(/inspect[\s\S]*fold[\s\S]*bench[\s\S]*explain/)
  expect(await run('--version')).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: '' })
})

describe.concurrent('an error is one line and a code, and writes nothing:', () => {
  const model = at('model.safetensors')
  const out = ['-o', at('never.safetensors')]
  test.each<[string, number, string[], RegExp]>([
    ['no file', 1, ['inspect', at('absent')], /ENOENT/],
    ['a folder', 1, ['inspect', at('folder')], /path to be that of a file.*folder/],
    ['an empty file', 1, ['inspect', at('empty.safetensors')], /at least 8 bytes.*received 0/],
    ['no argument', 2, ['inspect'], /missing required argument 'file'/],
    ['two arguments', 2, ['inspect', model, model], /too many arguments/],
    ['a page and JSON', 2, ['inspect', model, '--json', '--html', at('never.html')], /cannot be used with/],
    [
      'a page in no folder',
      1,
      ['inspect', model, '--html', at('absent/page.html')],
      /folder .*absent to exist/,
    ],
    ['a page over a folder', 1, ['inspect', model, '--html', at('folder'), '--force'], /folder to be a file/],
    ['a shape of one axis', 2, ['bench', '--shape', '4096'], /N,C or N,C,L/],
    ['a shape of one sample', 2, ['bench', '--shape', '1,8'], /two values a channel/],
    ['a shape larger than memory', 2, ['bench', '--shape', '1000000,1000000'], /at most 2 GiB/],
    ['no threads', 2, ['bench', '--threads', '0'], /integer from 1 to 1024/],
    ['no output', 2, ['fold', model, '--into', 'fc1=bn1'], /--output <file>' not specified/],
    ['a fold of a broken file', 1, ['fold', at('empty.safetensors'), '--into', 'a=b', ...out], /8 bytes/],
    [
      'a fold over a folder',
      1,
      ['fold', model, '--into', 'fc1=bn1', '-o', at('folder'), '--force'],
      /to be a file/,
    ],
    ['a broken file', 1, ['inspect', at('broken.safetensors')], /broken\.safetensors/],
    [
      'a shard that lies elsewhere',
      1,
      ['inspect', at('astray.json')],
      /weight_map of .*astray\.json: 'a' to be/,
    ],
    [
      'no index',
      1,
      ['fold', at('other.json'), '--into', 'a=b', ...out],
      /other\.json .* JSON without a weight_map/,
    ],
    [
      'another format',
      1,
      ['inspect', at('model.gguf')],
      /model\.gguf to be a safetensors file but received a GGUF/,
    ],
    ['a bad eps', 2, ['inspect', model, '--eps', 'small'], /number of at least 0/],
    ['an unknown command', 2, ['fald'], /unknown command 'fald'/],
    ['a bad seed', 2, ['explain', '--seed', '-1'], /integer from 0 to 2147483647/],
    [
      'a page in no folder',
      2,
      ['explain', '--out', at('no/page.html')],
      /cannot be written into the folder .*: no such file/,
    ],
    ['an unknown option', 2, ['inspect', model, '--yaml'], /unknown option '--yaml'/],
    ['no pair', 2, ['fold', model, ...out], /--into LAYER=BATCHNORM/],
    [
      'a pair for a graph',
      2,
      ['fold', at('model.onnx'), '--into', 'fc1=bn1', ...out],
      /no --into.*tells it itself/,
    ],
    ['a broken graph', 1, ['fold', at('model.onnx'), ...out], /Expected bytes to be an ONNX model/],
    ['half a pair', 2, ['fold', model, '--into', 'fc1', ...out], /LAYER=BATCHNORM/],
    [
      'a batch norm that is not there',
      1,
      ['fold', model, '--into', 'fc1=bn9', ...out],
      /'bn9' \(it has \['bn1', 'bn2'\]\)/,
    ],
    ['a layer that is not there', 1, ['fold', model, '--into', 'fc9=bn1', ...out], /fc9\.weight/],
    [
      'a layer of other outputs',
      1,
      ['fold', model, '--into', 'fc2=bn1', ...out],
      /fc2\.weight of shape \[4, in, \.\.\.\].*bn1.*received \[3, 4\]/,
    ],
    [
      'the same batch norm twice',
      2,
      ['fold', model, '--into', 'fc1=bn1', '--into', 'fc2=bn1', ...out],
      /bn1 again/,
    ],
    [
      'an output that is there',
      1,
      ['fold', model, '--into', 'fc1=bn1', '-o', at('taken.safetensors')],
      /--force/,
    ],
  ])('%s', async (_, code, words, message) => {
    const end = await run(...words)
    expect(end).toMatchObject({ code, stdout: '' })
    expect(end.stderr).toMatch(message)
    expect(end.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(readFileSync(at('taken.safetensors'), 'utf8')).toBe('mine')
    expect(readdirSync(folder)).not.toContain('never.safetensors')
  })
})
