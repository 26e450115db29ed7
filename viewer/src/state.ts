/** What the page shows: what the URL says, in one place, and who is told when it changes. */

import type { Palette, Theme } from './colours'
import type { Choice } from './fields'

export type Lang = 'zh' | 'en'
export type Place = { zone: string } | { pt: [number, number] }

export interface View extends Choice {
  /** The published root, relative to the page. */
  root: string
  exp: string
  /** A run that is asked for by name, `20260812T06Z/<run>`; null for the newest. */
  run: string | null
  /** Valid time. */
  t: number | null
  place: Place | null
  /** Longitude and latitude in the middle of the map, and how much it is enlarged. */
  z: [number, number, number] | null
  lang: Lang
  pal: Palette
  theme: Theme
  barbs: boolean
  /** What time it is, to rehearse on simulated forecasts. */
  now: number | null
}

export const START: View = {
  root: '../',
  exp: 'demo',
  run: null,
  f: 'tp01',
  s: 'lpmm',
  thr: null,
  t: null,
  place: null,
  z: null,
  lang: 'zh',
  pal: 'cwa',
  theme: 'dark',
  barbs: true,
  now: null,
}

type Listener = (view: View, before: View) => void

/** The view and its listeners. */
export class State {
  private readonly listeners: Listener[] = []

  constructor(public view: View) {}

  on(listener: Listener): void {
    this.listeners.push(listener)
  }

  set(change: Partial<View>): void {
    const before = this.view
    this.view = { ...before, ...change }
    for (const listener of this.listeners) listener(this.view, before)
  }
}
