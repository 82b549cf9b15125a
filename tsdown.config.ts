import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, type Rolldown, type UserConfig } from 'tsdown'
import { identity } from './native/identity.mjs'

const disposable = `declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol
  }
  interface Disposable {
    [Symbol.dispose](): void
  }
}`

const common: UserConfig = {
  // devDependencies are bundled: whoever installs the package needs none of what the command is made with.
  deps: { neverBundle: [/^bun:/], onlyBundle: false },
  platform: 'node',
  target: 'node20',
  fixedExtension: false,
}

export const library: UserConfig = {
  ...common,
  plugins: [addonAsBuilt('..'), licensesOfBundled()],
  entry: {
    index: 'lib/index.ts',
    distributed: 'lib/distributed/index.ts',
    onnx: 'lib/interop/onnx/index.ts',
    tfjs: 'lib/interop/tfjs/index.ts',
  },
  format: ['esm', 'cjs'],
  dts: true,
  // `Tensor` has [Symbol.dispose], which a program's own lib setting may lack, and TypeScript before 5.2 has nowhere.
  // Declared as its lib.esnext.disposable has them, with which they merge.
  banner: { dts: disposable },
  // For those who compile the addon from the package.
  copy: {
    from: ['node_modules/node-addon-api/*.h', 'node_modules/node-addon-api/LICENSE.md'],
    to: 'dist/node-addon-api',
  },
}

/**
 * Apart from the library: what the command bundles calls `createRequire(import.meta.url)` at the top of a chunk
 * that all its others share, and a program that bundles the library would die of that.
 */
export const command: UserConfig = {
  ...common,
  plugins: [addonAsBuilt('../..'), licensesOfBundled()],
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

/** For a test: a program with the library in it, in the root of a folder that has the addon as the package has it. */
export function programIn(folder: string): UserConfig {
  return {
    ...common,
    plugins: [addonAsBuilt('.')],
    format: 'esm',
    outDir: folder,
    outExtensions: () => ({ js: '.mjs' }),
    clean: false,
    dts: false,
    logLevel: 'error',
  }
}

export default defineConfig([library, command])

/**
 * What `lib/backend/addon.ts` reads from the sources, an addon's identity, is written down; and the package's root,
 * from where the files of a build and the engines of collectives lie, is `root`.
 */
function addonAsBuilt(root: string): Rolldown.Plugin {
  return {
    name: 'addon-as-built',
    load: {
      filter: { id: /native\/identity\.mjs$/ },
      handler: () => `export const identity = () => ${JSON.stringify(identity())}`,
    },
    transform: {
      filter: { id: /lib\/(backend\/addon|distributed\/native-engine)\.ts$/ },
      handler: (code) =>
        code.replaceAll(/(?<=[`'"])\.\.\/\.\.(?=\/(prebuilds|native\/collectives|package\.json))/g, root),
    },
  }
}

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
