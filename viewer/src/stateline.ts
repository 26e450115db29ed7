/** The line that says what is shown, how old it is, and what is wrong: always in sight. */

import { button, el } from './dom'
import { t, word } from './i18n'
import { both } from './place'
import type { InputRow } from './published'
import type { Run } from './session'
import type { View } from './state'
import { age, type Freshness, taiwanClock } from './time'

const ICONS: Record<Freshness | 'past', string> = { fresh: '●', late: '▲', stale: '■', past: '◆' }

/** What is said of the run that is shown. */
export interface Told {
  run: Run
  freshness: Freshness | 'past'
  valid: number
  now: number
}

/** `3 小時前`. */
export function ago(span: number): string {
  const [count, unit] = age(span)
  return t(`age.${unit}`, { count })
}

/** Inputs that are stood in for, old or absent, by name. */
export function degraded(inputs: readonly InputRow[]): string[] {
  return inputs
    .filter(({ status }) => !status.startsWith('ready'))
    .map((row) => {
      const served = row.status.startsWith('missing')
        ? t('input.absent')
        : `${row['served by'].toUpperCase()} ${row.age}`
      return `${word('input', row.input)} ${served}`
    })
}

export class StateLine {
  readonly element = el('header', { class: 'state' })
  private readonly facts = el('div', { class: 'facts' })
  private readonly tools = el('div', { class: 'tools' })
  private readonly valid = el('span')
  private key = ''

  constructor(private readonly hooks: { change(change: Partial<View>): void; help(): void }) {
    this.element.append(this.facts, this.tools)
  }

  show(view: View, told: Told | null): void {
    const { run, freshness, now } = told ?? {}
    const key = [
      view.lang,
      view.theme,
      freshness,
      run && ago(now! - run.init),
      run?.entry.manifest,
      !!run?.manifest,
    ].join()
    if (key === this.key) return this.setValid(told)
    this.key = key
    const title = el('h1', {}, 'StormCast', el('span', {}, ' 臺灣'))
    this.facts.replaceChildren(
      title,
      ...(told ? this.told(told) : [el('span', { class: 'quiet' }, t('state.loading'))]),
    )
    this.setValid(told)
    const focused = this.tools.contains(document.activeElement) ? document.activeElement!.id : ''
    this.tools.replaceChildren(...this.buttons(view))
    if (focused) document.getElementById(focused)?.focus()
  }

  private setValid(told: Told | null): void {
    if (told) this.valid.textContent = both(told.valid)
  }

  private buttons(view: View): HTMLElement[] {
    const { change, help } = this.hooks
    const zh = view.lang === 'zh'
    const dark = view.theme === 'dark'
    return [
      button(zh ? 'EN' : '中文', () => change({ lang: zh ? 'en' : 'zh' }), {
        lang: zh ? 'en' : 'zh-Hant',
        id: 'language',
        'aria-label': zh ? 'EN: English' : '中文',
      }),
      button(dark ? '☼' : '☾', () => change({ theme: dark ? 'light' : 'dark' }), {
        'aria-label': t('state.theme'),
        id: 'theme',
      }),
      button('?', help, { 'aria-label': t('help.title'), id: 'help' }),
    ]
  }

  private told({ run, freshness, now }: Told): HTMLElement[] {
    const pair = (name: string, text: string, more = '') =>
      el(
        'span',
        { class: `pair ${name}` },
        el('span', { class: 'name' }, word('state', name)),
        ` ${text}`,
        more && el('small', {}, ` ${more}`),
      )
    const rows = run.manifest?.details.inputs ?? []
    const inputs = degraded(rows)
    const next = freshness === 'past' ? '' : `${t('state.next')} ${taiwanClock(run.nextExpected)}`
    return [
      el(
        'span',
        { class: `freshness ${freshness}`, role: 'status' },
        `${ICONS[freshness]} ${word('freshness', freshness)}`,
      ),
      pair('init', both(run.init)),
      el('span', { class: 'pair' }, el('span', { class: 'name' }, t('state.valid')), ' ', this.valid),
      pair('age', ago(now - run.init), next),
      inputs.length
        ? el(
            'span',
            {
              class: 'pair inputs degraded',
              title: rows
                .map(({ remark }) => remark)
                .filter(Boolean)
                .join('; '),
            },
            `▲ ${t('state.degraded')}`,
            el('small', {}, ` ${inputs.join(t('list.semicolon'))}`),
          )
        : pair('inputs', t(run.entry.status === 'degraded' ? 'state.degraded' : 'state.complete')),
      ...(run.about.simulated ? [el('strong', { class: 'badge simulated' }, t('state.simulated'))] : []),
      ...(run.about.trained === 0 ? [el('strong', { class: 'badge' }, t('state.untrained'))] : []),
    ]
  }
}
