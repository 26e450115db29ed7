/** Where things are: three columns on a wide screen, a map with a sheet below it on a phone. */

import { button, el } from './dom'
import { t } from './i18n'
import type { Run } from './session'

type Tab = 'board' | 'place'
type Part = 'state' | 'notices' | 'board' | 'map' | 'place' | 'timeline' | 'layers'

export class Layout {
  private readonly band = el('p', { class: 'band' })
  private readonly tabs = el('div', { class: 'tabs' })
  private readonly credits = el('footer', { class: 'credits' })

  constructor(parts: Record<Part, HTMLElement>) {
    const { state, notices, board, map, place, timeline, layers } = parts
    const main = el('main', {}, board, map, place, timeline, layers, this.tabs)
    state.append(this.band)
    document.body.append(state, main, this.credits)
    main.prepend(notices)
    this.tab('board')
  }

  /** Bring the board or the place forward, where there is only room for one. */
  tab(tab: Tab): void {
    document.body.dataset.tab = tab
    this.drawTabs()
  }

  private drawTabs(): void {
    const { tab, sheet } = document.body.dataset
    const one = (name: Tab) => button(t(`tab.${name}`), () => this.tab(name), { 'aria-pressed': String(tab === name) })
    const up = sheet === 'up'
    const pull = button(
      up ? '▼' : '▲',
      () => {
        document.body.dataset.sheet = up ? 'down' : 'up'
        this.drawTabs()
      },
      { 'aria-label': t(up ? 'tab.down' : 'tab.up'), 'aria-expanded': String(up) },
    )
    this.tabs.replaceChildren(one('board'), one('place'), pull)
  }

  show(run: Run | null): void {
    this.band.hidden = !run?.about.simulated
    this.band.textContent = t('state.band')
    const { license, acknowledgement } = run?.about ?? {}
    const said = [run?.board?.attribution ?? acknowledgement, license].filter(Boolean)
    this.credits.textContent = said.join(' · ')
    this.drawTabs()
  }
}
