import { defineConfig } from 'tsdown'

const library = { index: 'lib/index.ts', tfjs: 'lib/tfjs/index.ts' }

export default defineConfig({
  entry: library,
  format: {
    esm: {
      entry: { ...library, cli: 'lib/cli/main.ts' },
      // Read at run time, beside the code that reads them.
      copy: ['lib/page/page.css', 'lib/cli/inspect/inspect.css'],
    },
    cjs: {},
  },
  dts: true,
  platform: 'node',
  target: 'node20',
  fixedExtension: false,
  // What the experiment reads at run time, from beside itself.
  copy: [
    { from: ['examples/explain/explain.css', 'examples/shared/page.css'], to: 'dist/explain' },
    { from: 'examples/explain/*/snippet.ts', to: 'dist', flatten: false },
  ],
  // `Tensor` has [Symbol.dispose], which a program's own lib setting may lack.
  banner: { dts: '/// <reference lib="esnext.disposable" />' },
})
