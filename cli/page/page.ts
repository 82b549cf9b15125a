import { readFileSync } from 'node:fs'
import { html, Markup } from './markup.ts'

export interface Page {
  /** What kind of page this is, above its title. */
  readonly overline: string
  readonly title: string
  readonly introduction: Markup
  /** The page's own style sheet, after the one that all pages have. */
  readonly style: string
  readonly main: Markup
}

/** One HTML file that needs nothing else: style and pictures are in it. */
export function pageOf({ overline, title, introduction, style, main }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Markup(readFileSync(new URL('page.css', import.meta.url), 'utf8'))}${new Markup(style)}</style>
</head>
<body>
<header>
<p class="overline">${overline}</p>
<h1>${title}</h1>
<p>${introduction}</p>
</header>
<main>
${main}
</main>
</body>
</html>
`.text
}

/** Names and values in a grid: what a page's figures hang on. */
export function factList(facts: readonly (readonly [name: string, value: string])[]): Markup {
  return html`<dl class="card facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}
