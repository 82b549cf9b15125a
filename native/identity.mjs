/**
 * What an addon says of itself, so that the package knows its own: name and version of the package, and a hash of
 * the C++ sources, by which a clone notices an addon that was built before they changed.
 *
 * Both builds run it: `node native/identity.mjs FOLDER` writes `FOLDER/batchnorm_identity.h` and prints FOLDER.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const native = fileURLToPath(new URL('.', import.meta.url))

/** Such as `batchnorm@0.1.0 9f86d081884c7d65`. */
export function identity() {
  const { name, version } = JSON.parse(textOf('../package.json'))
  return `${name}@${version} ${hashOfSources()}`
}

/** Of all that is compiled, with its names; line ends are Git's, which differ on Windows. */
function hashOfSources() {
  const hash = createHash('sha256')
  for (const folder of ['addon', 'include', 'src']) {
    const names = readdirSync(join(native, folder), { recursive: true })
    const files = names
      .filter((name) => /\.(cpp|h|inc)$/.test(name))
      .map((name) => name.replaceAll('\\', '/'))
    for (const file of files.sort()) hash.update(`${file}\0${textOf(`${folder}/${file}`)}\0`)
  }
  return hash.digest('hex').slice(0, 16)
}

function textOf(path) {
  return readFileSync(join(native, path), 'utf8').replaceAll('\r\n', '\n')
}

/** Leaves a file alone that says it already: what includes it would be compiled again. */
function writeHeader(folder) {
  const path = join(folder, 'batchnorm_identity.h')
  const text = `#define BATCHNORM_IDENTITY "${identity()}"\n`
  mkdirSync(folder, { recursive: true })
  try {
    if (readFileSync(path, 'utf8') === text) return
  } catch {}
  writeFileSync(path, text)
}

const [, program, folder] = process.argv
if (folder !== undefined && resolve(program) === fileURLToPath(import.meta.url)) {
  writeHeader(folder)
  process.stdout.write(folder)
}
