// node .ci/publish.mjs FOLDER [--split] [--publish]
//
// Packs what is published into FOLDER, and prints the files in the order in which they have to be published. Up to 5 MB
// that is one package with all the prebuilt addons in it. Above, or with --split, each addon is a package for its
// platform, of the same version, and these come first: they are optional dependencies of the package itself.
// With --publish they are published; a version that the registry has already is left out, so that a publication which
// was interrupted can be taken up again.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const largest = 5_000_000
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { split: { type: 'boolean' }, publish: { type: 'boolean' } },
})
if (positionals.length !== 1) throw new Error('Expected one folder to pack into')
const folder = resolve(positionals[0])
mkdirSync(folder, { recursive: true })

npm('run', 'build')
const whole = pack('.')
const packages = values.split || statSync(whole).size > largest ? split(whole) : [whole]
console.log(packages.join('\n'))
if (values.publish) for (const file of packages) publish(file)

/** Packs a folder into `folder`, and gives the file. Without scripts: what they print would stand in the answer. */
function pack(from) {
  const [{ filename }] = JSON.parse(
    npm('pack', from, '--json', '--ignore-scripts', '--pack-destination', folder),
  )
  return join(folder, filename)
}

/** The packages of the platforms, and the package without their addons. */
function split(file) {
  const stage = join(folder, 'package')
  execFileSync('tar', ['xzf', file, '-C', folder])
  rmSync(file)
  const description = read(join(stage, 'package.json'))
  const prebuilds = join(stage, 'prebuilds')
  const folders = readdirSync(prebuilds).filter((name) => statSync(join(prebuilds, name)).isDirectory())
  const platforms = folders.flatMap((platform) =>
    readdirSync(join(prebuilds, platform)).map((addon) =>
      makePlatform(description, prebuilds, platform, addon),
    ),
  )
  for (const platform of folders) rmSync(join(prebuilds, platform), { recursive: true })
  const optionalDependencies = Object.fromEntries(platforms.map(({ name, version }) => [name, version]))
  write(stage, { ...description, optionalDependencies })
  const files = [...platforms.map(({ from }) => pack(from)), pack(stage)]
  for (const from of [stage, ...platforms.map((each) => each.from)]) rmSync(from, { recursive: true })
  return files
}

/** A package with one addon. Its name is the one that lib/backend/addon.ts looks for. */
function makePlatform({ version, license, engines }, prebuilds, platform, addon) {
  const [os, cpu] = platform.split('-')
  const libc = os === 'linux' ? (addon.includes('.musl.') ? 'musl' : 'glibc') : undefined
  const suffix = { musl: '-musl', glibc: '-gnu' }[libc] ?? ''
  const name = `@batchnorm/${platform}${suffix}`
  const from = join(folder, `${platform}${suffix}`)
  mkdirSync(from)
  cpSync(join(prebuilds, platform, addon), join(from, 'batchnorm.node'))
  cpSync('LICENSE', join(from, 'LICENSE'))
  writeFileSync(
    join(from, 'README.md'),
    `# ${name}\n\nThe native addon of batchnorm for ${platform}${suffix}.\n`,
  )
  write(from, {
    name,
    version,
    description: `The native addon of batchnorm for ${platform}${suffix}`,
    license,
    engines,
    main: './batchnorm.node',
    files: ['batchnorm.node'],
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
  })
  return { name, version, from }
}

function publish(file) {
  const { name, version } = JSON.parse(
    execFileSync('tar', ['xzOf', file, 'package/package.json'], { encoding: 'utf8' }),
  )
  if (isPublished(`${name}@${version}`)) return
  npm('publish', file, '--access', 'public', '--provenance')
}

function isPublished(what) {
  try {
    return npm('view', what, 'version').trim() !== ''
  } catch (error) {
    if (String(error.stderr).includes('E404')) return false
    throw error
  }
}

function npm(...args) {
  return execFileSync('npm', args, { encoding: 'utf8', shell: process.platform === 'win32' })
}

function read(file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}

function write(into, description) {
  writeFileSync(join(into, 'package.json'), `${JSON.stringify(description, null, 2)}\n`)
}
