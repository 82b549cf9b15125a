import { defineConfig } from 'tsdown'

export default defineConfig({
  entry: {
    index: 'lib/index.ts',
    tfjs: 'lib/tfjs/index.ts',
    cli: 'lib/cli/main.ts',
    'explain/command': 'examples/explain/command.ts',
  },
  format: ['esm', 'cjs'],
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
