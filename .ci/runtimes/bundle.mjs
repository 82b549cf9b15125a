// bundle.mjs FOLDER: writes program.ts as JavaScript into a folder, as an ES module and as CommonJS, with the
// package in the place of its sources.
import { build } from 'esbuild'

const thePackage = {
  name: 'the-package',
  setup({ onResolve }) {
    onResolve({ filter: /\/lib\/index\.ts$/ }, () => ({ path: 'batchnorm', external: true }))
  },
}

for (const [format, extension] of [
  ['esm', '.mjs'],
  ['cjs', '.cjs'],
]) {
  await build({
    entryPoints: [`${import.meta.dirname}/program.ts`],
    outdir: process.argv[2],
    outExtension: { '.js': extension },
    ...{ bundle: true, platform: 'node', target: 'node20', format, plugins: [thePackage] },
  })
}
