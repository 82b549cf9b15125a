import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, type Rolldown } from 'tsdown'

const library = {
  index: 'lib/index.ts',
  onnx: 'lib/interop/onnx/index.ts',
  tfjs: 'lib/interop/tfjs/index.ts',
}

export default defineConfig({
  entry: library,
  format: {
    esm: {
      entry: { ...library, cli: 'cli/main.ts', 'explain/command': 'cli/explain/command.ts' },
      // Read at run time, from beside the code that reads them.
      copy: [
        'cli/page/page.css',
        'cli/inspect/inspect.css',
        { from: 'cli/explain/explain.css', to: 'dist/explain' },
        { from: 'cli/explain/*/snippet.ts', to: 'dist', flatten: false },
      ],
    },
    cjs: {},
  },
  // devDependencies are bundled: whoever installs the package needs none of what the command is made with.
  deps: { neverBundle: [/^bun:/], onlyBundle: false },
  plugins: [licensesOfBundled()],
  dts: true,
  platform: 'node',
  target: 'node20',
  fixedExtension: false,
  // `Tensor` has [Symbol.dispose], which a program's own lib setting may lack.
  banner: { dts: '/// <reference lib="esnext.disposable" />' },
})

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
