/** The hours: a slider over the whole width, play, and marks where hazards begin. */

import { button, el } from './dom'
import { t, word } from './i18n'
import type { Row } from './published'
import { taiwan, taiwanDay, taiwanHour, utc } from './time'

const STEP_MS = 600

export class Timeline {
  readonly element = el('section', { class: 'timeline' })
  private readonly slider = el('input', { type: 'range', min: 0, step: 1, value: 0, id: 'hour' })
  private readonly ticks = el('div', { class: 'ticks', 'aria-hidden': 'true' })
  private readonly marks = el('div', { class: 'marks', 'aria-hidden': 'true' })
  private readonly play = button('▶', () => this.toggle(), { class: 'play' })
  private timer = 0
  private marked: readonly Row[] | null = null
  /** True while somebody moves the slider. */
  dragging = false

  constructor(private readonly moved: (at: number) => void) {
    const step = (by: number, sign: string) => button(sign, () => this.step(by), { class: `step${by}` })
    this.element.append(
      step(-1, '◀'),
      this.play,
      step(1, '▶|'),
      el('div', { class: 'track' }, this.marks, this.slider, this.ticks),
    )
    this.slider.addEventListener('input', () => moved(Number(this.slider.value)))
    this.slider.addEventListener('pointerdown', () => (this.dragging = true))
    for (const name of ['pointerup', 'pointercancel', 'change'])
      this.slider.addEventListener(name, () => (this.dragging = false))
  }

  get playing(): boolean {
    return this.timer !== 0
  }

  show(hours: number[], at: number, rows: readonly Row[]): void {
    this.element.setAttribute('aria-label', t('time.label'))
    this.slider.setAttribute('aria-label', t('time.label'))
    this.slider.max = String(hours.length - 1)
    this.slider.value = String(at)
    const said = hours.length
      ? `${taiwan(hours[at])} ${word('day', String(taiwanDay(hours[at])))}, ${utc(hours[at])}, +${at + 1} h`
      : ''
    this.slider.setAttribute('aria-valuetext', said)
    this.label()
    const key = `${hours[0]} ${hours.length}`
    if (this.ticks.dataset.key !== key) {
      this.ticks.dataset.key = key
      this.ticks.replaceChildren(...hours.map((hour) => el('span', {}, taiwanHour(hour))))
    }
    ;[...this.ticks.children].forEach((tick, n) => tick.classList.toggle('current', n === at))
    if (rows !== this.marked) this.mark(hours.length, rows)
    this.marked = rows
  }

  private mark(count: number, rows: readonly Row[]): void {
    const starts = new Map<number, Row>()
    for (const row of rows) {
      if (row.onset && row.zone.parent === null) {
        const known = starts.get(row.onset[1])
        if (!known || known.hazard.rank < row.hazard.rank) starts.set(row.onset[1], row)
      }
    }
    const made = Array.from({ length: count }, (_, n) => {
      const row = starts.get(n + 1)
      return el('span', { class: row ? `rank${row.hazard.rank}` : '' }, row ? '●' : '')
    })
    this.marks.replaceChildren(...made)
  }

  private label(): void {
    this.play.textContent = this.playing ? '❚❚' : '▶'
    this.play.setAttribute('aria-label', t(this.playing ? 'time.pause' : 'time.play'))
    this.element.querySelector('.step-1')!.setAttribute('aria-label', t('time.before'))
    this.element.querySelector('.step1')!.setAttribute('aria-label', t('time.after'))
  }

  /** Go some hours on, around the end while playing. */
  step(by: number): void {
    const last = Number(this.slider.max)
    const next = Number(this.slider.value) + by
    this.moved(this.playing && next > last ? 0 : Math.min(Math.max(next, 0), last))
  }

  /** Play or pause. Who asks for less motion gets none: the arrows remain. */
  toggle(): void {
    const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches
    if (this.playing) window.clearInterval(this.timer)
    this.timer = this.playing || still ? 0 : window.setInterval(() => this.step(1), STEP_MS)
    this.label()
  }
}
