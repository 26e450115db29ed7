/** The map with its title, its legend, and the value under the pointer. */

import type { Borders } from './borders'
import { el } from './dom'
import { t } from './i18n'
import { choiceText } from './layers'
import { showLegend } from './legend'
import { MapView } from './map'
import { type Fills, NOTHING, type Scene } from './painting'
import { both, spot } from './place'
import type { Display } from './scene'
import { fullName } from './search'
import type { Run } from './session'
import type { View } from './state'
import type { Field } from './zarr'

export interface Shown {
  run: Run | null
  display: Display | null
  at: number
  view: View
  winds: { speed: Field; direction: Field } | null
  stale: boolean
  borders: Borders | null
}

export class MapPanel {
  readonly element = el('section', { class: 'map', 'aria-labelledby': 'map-title' })
  readonly view: MapView
  private readonly title = el('h2', { id: 'map-title' })
  private readonly legend = el('div', { class: 'legend' })
  private readonly readout = el('div', { class: 'readout' })
  private readonly mark = el('div', { class: 'watermark', 'aria-hidden': 'true' })
  private shown: Shown | null = null
  private pointed: [number, number] | null = null
  private keys = { fills: '', legend: '', winds: '' }
  private fills: Fills = new Map()
  private barbs: Scene['barbs'] = null
  private point: [number, number] | null = null

  constructor(change: (change: Partial<View>) => void) {
    this.view = new MapView({
      point: (longitude, latitude) => change({ place: { pt: [round(latitude), round(longitude)] } }),
      hover: (place) => {
        this.pointed = place
        this.read()
      },
      moved: (z) => change({ z }),
    })
    this.element.append(
      this.title,
      el('div', { class: 'frame' }, this.view.element, this.mark, this.legend, this.readout),
    )
  }

  setBorders(borders: Borders): void {
    this.view.setBorders(borders)
  }

  setGrid(grid: Run['grid']): void {
    this.view.setGrid(grid)
    const z = this.shown?.view.z
    if (z) this.view.look(z)
  }

  /** Enlarge to what the URL says; once, when the map has its size. */
  look(): void {
    const z = this.shown?.view.z
    if (z) this.view.look(z)
  }

  show(shown: Shown): void {
    const { run, display, at, view } = shown
    const first = this.shown?.run !== run
    this.shown = shown
    this.element.classList.toggle('stale', shown.stale)
    this.mark.textContent = run?.about.simulated ? t('state.simulated') : ''
    const scene = display && run ? this.scene(shown) : NOTHING
    this.view.show(scene)
    if (first) this.look()
    this.title.replaceChildren(...(display && run ? this.heading(display, run, at) : [t('map.none')]))
    const key = `${run?.entry.run} ${display?.kind.colours} ${view.pal} ${view.theme} ${view.lang}`
    if (display && run && key !== this.keys.legend)
      showLegend(this.legend, display.kind, display.table(view.pal, view.theme), run.members)
    if (!display) this.legend.replaceChildren()
    this.keys.legend = display ? key : ''
    this.view.element.setAttribute('aria-label', this.summary())
    this.read()
  }

  private scene({ run, display, at, view, winds }: Shown): Scene {
    const { pal, theme, place } = view
    const { f, s, thr } = display!.choice
    const hour = display!.isTimeless ? 0 : at
    const key = `${run!.entry.run} ${f} ${s} ${thr} ${hour} ${pal} ${theme}`
    if (key !== this.keys.fills)
      Object.assign(this, { fills: display!.fills(at, pal, theme), keys: { ...this.keys, fills: key } })
    const windKey = winds ? `${run!.entry.run} ${at}` : ''
    if (windKey !== this.keys.winds)
      Object.assign(this, { barbs: winds && { ...winds, at }, keys: { ...this.keys, winds: windKey } })
    const zone = place && 'zone' in place ? place.zone : null
    const point: [number, number] | null = place && 'pt' in place ? [place.pt[1], place.pt[0]] : null
    if (String(point) !== String(this.point)) this.point = point
    return {
      painting: display!.painting(at, pal, theme),
      fills: this.fills,
      barbs: this.barbs,
      zone,
      point: this.point,
    }
  }

  private heading(display: Display, run: Run, at: number): HTMLElement[] {
    const when = display.isTimeless
      ? t('map.whole', { from: both(run.init), hours: run.hours.length })
      : both(run.hours[at])
    return [el('span', {}, choiceText(display.choice)), el('b', {}, when)]
  }

  private summary(): string {
    const { display, run, at } = this.shown!
    if (!display || !run) return t('map.none')
    return `${this.title.textContent}. ${this.highest(display, run, at)}`
  }

  private highest(display: Display, run: Run, at: number): string {
    const found = display.highest(at)
    if (!found || found.value <= 0) return ''
    const { nx } = run.grid
    const [longitude, latitude] = run.grid.point(Math.floor(found.cell / nx), found.cell % nx)
    return t('map.highest', {
      value: display.numberText(found.value, run.members),
      place: this.named(longitude, latitude),
    })
  }

  private named(longitude: number, latitude: number): string {
    const { borders, run } = this.shown!
    const code = borders?.at(longitude, latitude)
    const zone = code ? run?.board?.byCode.get(code) : undefined
    return zone ? fullName(zone, run!.board!) : t('place.sea')
  }

  /** Say the value under the pointer, else the highest. */
  private read(): void {
    const { display, run, at, borders } = this.shown ?? {}
    if (!display || !run || at === undefined) return this.readout.replaceChildren()
    const { pointed } = this
    const cell = pointed && run.grid.cell(...pointed)
    if (!pointed || !cell) return this.readout.replaceChildren(this.highest(display, run, at))
    const value = display.valueText(at, cell[0] * run.grid.nx + cell[1], borders?.at(...pointed) ?? null, run.members)
    this.readout.replaceChildren(
      el('b', {}, value),
      el('span', {}, this.named(...pointed)),
      el('small', {}, spot([pointed[1], pointed[0]])),
    )
  }
}

function round(degrees: number): number {
  return Math.round(degrees * 1000) / 1000
}
