import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, type Rolldown, type UserConfig } from 'tsdown'

const common: UserConfig = {
  // devDependencies are bundled: whoever installs the package needs none of what the command is made with.
  deps: { neverBundle: [/^bun:/], onlyBundle: false },
  plugins: [licensesOfBundled()],
  platform: 'node',
  target: 'node20',
  fixedExtension: false,
}

export const library: UserConfig = {
  ...common,
  entry: {
    index: 'lib/index.ts',
    onnx: 'lib/interop/onnx/index.ts',
    tfjs: 'lib/interop/tfjs/index.ts',
  },
  format: ['esm', 'cjs'],
  dts: true,
  // `Tensor` has [Symbol.dispose], which a program's own lib setting may lack.
  banner: { dts: '/// <reference lib="esnext.disposable" />' },
}

/**
 * Apart from the library: what the command bundles calls `createRequire(import.meta.url)` at the top of a chunk
 * that all its others share, and a program that bundles the library would die of that.
 */
const command: UserConfig = {
  ...common,
  entry: { main: 'cli/main.ts', 'explain/command': 'cli/explain/command.ts' },
  outDir: 'dist/cli',
  format: 'esm',
  dts: false,
  // Read at run time, from beside the code that reads them.
  copy: [
    'cli/page/page.css',
    'cli/inspect/inspect.css',
    { from: 'cli/explain/explain.css', to: 'dist/cli/explain' },
    { from: 'cli/explain/*/snippet.ts', to: 'dist/cli', flatten: false },
  ],
}

export default defineConfig([library, command])

/** Writes `licenses.txt`: the licenses of all packages that are bundled, which ask to be passed on with them. */
function licensesOfBundled(): Rolldown.Plugin {
  return {
    name: 'licenses-of-bundled',
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((output) =>
        output.type === 'chunk' ? output.moduleIds : [],
      )
      const folders = modules.flatMap(
        (id) => id.match(/^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/)?.[0] ?? [],
      )
      const texts = [...new Set(folders)].sort().map(licenseOf)
      if (texts.length > 0)
        this.emitFile({ type: 'asset', fileName: 'licenses.txt', source: texts.join('\n\n') })
    },
  }
}

function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each))
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : ''
  return `${name} ${version} (${license})\n\n${text}`
}
