/** Choosing what the map shows: layers with a key each, then quantity, statistic and threshold. */

import { button, el } from './dom'
import { type Choice, LAYERS, QUANTITIES, statistics, thresholds } from './fields'
import { t, word } from './i18n'
import type { Board } from './published'
import type { View } from './state'

/** A choice in words: 前1小時雨量 · 鄰近15公里機率 · ≥ 40 mm. */
export function choiceText({ f, s, thr }: Choice): string {
  return [word('quantity', f), word('statistic', s), ...(thr === null ? [] : [thresholdText(f, thr)])].join(' · ')
}

/** A threshold in words; what is cold lies below it. */
export function thresholdText(f: string, threshold: number): string {
  if (f === 'wind') return `≥ ${t('force', { force: threshold })}`
  const unit = f === 'heat' || f === 'cold' ? '°C' : 'mm'
  return `${f === 'cold' ? '≤' : '≥'} ${threshold} ${unit}`
}

export class LayerBar {
  readonly element = el('section', { class: 'layers' })

  constructor(private readonly change: (change: Partial<View>) => void) {}

  show(view: View, names: ReadonlySet<string>, board: Board | null): void {
    const focused = this.element.contains(document.activeElement) ? document.activeElement!.id : ''
    this.element.setAttribute('aria-label', t('layers.label'))
    const buttons = LAYERS.map((layer, n) => {
      const pressed = layer.f === view.f && layer.s === view.s
      const inside = [el('kbd', {}, String(n + 1)), word('layer', layer.name)]
      return el(
        'button',
        { type: 'button', id: `layer-${n + 1}`, 'aria-pressed': String(pressed), onclick: () => this.take(n) },
        ...inside,
      )
    })
    const { f, s, thr } = view
    this.element.replaceChildren(
      el('div', { class: 'presets' }, ...buttons),
      el(
        'div',
        { class: 'choices' },
        this.select(
          'quantity',
          f,
          Object.keys(QUANTITIES).filter((q) => statistics(q, names, board).length),
          (name) => word('quantity', name),
          (value) => ({ f: value }),
        ),
        this.select(
          'statistic',
          s,
          statistics(f, names, board),
          (name) => word('statistic', name),
          (value) => ({ s: value }),
        ),
        this.select(
          'threshold',
          String(thr),
          thresholds(f, s, names, board).map(String),
          (value) => thresholdText(f, Number(value)),
          (value) => ({ thr: Number(value) }),
        ),
        button(t('layers.barbs'), () => this.change({ barbs: !view.barbs }), {
          id: 'barbs',
          'aria-pressed': String(view.barbs),
        }),
        button(t('layers.palette'), () => this.change({ pal: view.pal === 'cwa' ? 'cb' : 'cwa' }), {
          id: 'palette',
          'aria-pressed': String(view.pal === 'cb'),
        }),
      ),
    )
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true })
  }

  /** Show the layer at a place in the list of layers. */
  take(n: number): void {
    const { f, s, thr } = LAYERS[n]
    this.change({ f, s, thr })
  }

  private select(
    name: 'quantity' | 'statistic' | 'threshold',
    value: string,
    among: string[],
    say: (value: string) => string,
    changed: (value: string) => Partial<View>,
  ): HTMLElement | null {
    if (!among.length) return null
    const options = among.map((each) => el('option', { value: each, selected: each === value }, say(each)))
    const onchange = (event: Event) => this.change(changed((event.target as HTMLSelectElement).value))
    return el('select', { id: `choose-${name}`, 'aria-label': t(`layers.${name}`), onchange }, ...options)
  }
}
