/** The site of the documentation: the pages of `docs/`, and the reference that TypeDoc makes of the public face. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type DefaultTheme, defineConfig, type UserConfig } from 'vitepress'

type Plugin = NonNullable<NonNullable<UserConfig['vite']>['plugins']>[number]

const thisFile = fileURLToPath(import.meta.url)

const page = (text: string, link: string) => ({ text, link })

const sidebar: DefaultTheme.SidebarItem[] = [
  {
    text: 'Start',
    items: [
      page('Quick start', '/quick-start'),
      page('From PyTorch', '/from-pytorch'),
      page('From Keras', '/from-keras'),
      page('From TensorFlow.js', '/tensorflow-js'),
    ],
  },
  {
    text: 'Training',
    items: [
      page('Options', '/options'),
      page('Masks and weights', '/masks'),
      page('Statistics of many batches', '/moments'),
      page('Domains', '/domains'),
      page('Drift', '/drift'),
      page('Good in training, bad in eval', '/train-eval-gap'),
      page('Another domain', '/adaptation'),
      page('Many workers', '/many-workers'),
      page('Federated learning', '/federated'),
      page('Threads and workers', '/workers'),
      page('Gradients of gradients', '/double-backward'),
    ],
  },
  {
    text: 'Deployment',
    items: [
      page('Folding', '/folding'),
      page('Checkpoints', '/checkpoints'),
      page('ONNX', '/onnx'),
      page('Other frameworks', '/conventions'),
      page('The command line', '/command-line'),
      page('Bundlers', '/bundlers'),
    ],
  },
  {
    text: 'What it holds',
    items: [
      page('Accuracy', '/accuracy'),
      page('Reproducibility', '/reproducibility'),
      page('Performance', '/performance'),
      page('Reliability', '/reliability'),
      page('Data types', '/data-types'),
      page('Differences', '/differences'),
      page('Decisions', '/decisions/README'),
    ],
  },
  { text: 'Reference', link: '/reference/', collapsed: true, items: reference() },
]

export default defineConfig({
  title: 'batchnorm',
  description: 'Batch normalization for Node.js, with the same bits everywhere',
  srcDir: '../docs',
  lastUpdated: false,
  vite: { plugins: [vueOfThisFolder()] },
  themeConfig: {
    nav: [page('Quick start', '/quick-start'), page('Reference', '/reference/')],
    sidebar,
    outline: [2, 3],
    search: { provider: 'local' },
  },
})

/** The pages lie outside of this folder, whose Vue they want. */
function vueOfThisFolder(): Plugin {
  return {
    name: 'vue-of-this-folder',
    enforce: 'pre',
    resolveId(id, importer, options) {
      if (!/^vue(\/|$)/.test(id) || importer === thisFile) return null
      return options.ssr ? { id, external: true } : this.resolve(id, thisFile, { ...options, skipSelf: true })
    },
  }
}

/** What TypeDoc wrote beside the pages. */
function reference(): DefaultTheme.SidebarItem[] {
  const file = new URL('../../docs/reference/typedoc-sidebar.json', import.meta.url)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
}
