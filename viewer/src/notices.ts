/** Sentences about what is wrong, or new: at most one of each kind, the gravest first. */

import { button, el } from './dom'
import { t, word } from './i18n'
import { both } from './place'
import { Broken, Unreachable } from './published'
import type { Run } from './session'
import { taiwanClock } from './time'
import type { Freshness } from './time'

type Level = 'error' | 'warning' | 'info'
const ORDER: Level[] = ['error', 'warning', 'info']
const ICONS: Record<Level, string> = { error: '■', warning: '▲', info: 'ℹ' }

interface Notice {
  level: Level
  text: () => string
  action?: { label: () => string; go: () => void }
}

export class Notices {
  readonly element = el('div', { class: 'notices', role: 'status', 'aria-live': 'polite' })
  private readonly held = new Map<string, Notice>()
  private shown = ''

  set(name: string, level: Level, text: () => string, action?: Notice['action']): void {
    this.held.set(name, { level, text, action })
  }

  clear(...names: string[]): void {
    for (const name of names) this.held.delete(name)
  }

  /** A file could not be read. */
  failed(name: string, error: Error): void {
    const reason = () =>
      error instanceof Broken
        ? t('notice.broken', { file: error.file, reason: error.reason })
        : error instanceof Unreachable
          ? t('notice.unreachable')
          : error.message
    this.set(name, name === 'manifest' ? 'warning' : 'error', () => `${word('failed', name)} ${reason()}`)
  }

  /** How the last look at `latest.json` went; `contact` is when one last went well. */
  trouble(error: Error | null, contact: number): void {
    if (!error) return this.clear('latest')
    const since = () => (Number.isNaN(contact) ? '' : t('notice.since', { time: taiwanClock(contact) }))
    if (error instanceof Unreachable) this.set('latest', 'error', () => `${t('notice.lost')} ${since()}`)
    else this.failed('latest', error)
  }

  /** Late and stale runs. */
  age(freshness: Freshness | 'past' | null, run: Run | null): void {
    this.clear('age')
    if (!run || (freshness !== 'late' && freshness !== 'stale')) return
    const due = both(run.nextExpected)
    const until = both(run.validUntil)
    this.set('age', freshness === 'stale' ? 'error' : 'warning', () => t(`notice.${freshness}`, { due, until }))
  }

  show(): void {
    const sorted = [...this.held].sort(([, a], [, b]) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level))
    const key = sorted.map(([name, { text }]) => `${name} ${text()}`).join('\n')
    if (key === this.shown) return
    this.shown = key
    this.element.replaceChildren(...sorted.map(([name, notice]) => this.line(name, notice)))
  }

  private line(name: string, { level, text, action }: Notice): HTMLElement {
    const close = () => {
      this.clear(name)
      this.show()
    }
    return el(
      'p',
      { class: level },
      el('span', { 'aria-hidden': 'true' }, ICONS[level]),
      ` ${text()} `,
      action && button(action.label(), action.go),
      level === 'info' && button('×', close, { 'aria-label': t('notice.close') }),
    )
  }
}
