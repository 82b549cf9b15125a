import { defineConfig } from 'tsdown'

export default defineConfig({
  entry: { index: 'lib/index.ts', tfjs: 'lib/tfjs/index.ts', cli: 'lib/cli/main.ts' },
  format: ['esm', 'cjs'],
  dts: true,
  platform: 'node',
  target: 'node20',
  fixedExtension: false,
  // `Tensor` has [Symbol.dispose], which a program's own lib setting may lack.
  banner: { dts: '/// <reference lib="esnext.disposable" />' },
})
