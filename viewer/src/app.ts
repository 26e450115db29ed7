/** The page: one state, the run that it is about, and the views that show it. */

import { BoardView } from './board'
import { Borders } from './borders'
import { ChosenPlace } from './chosen'
import { fitting, mapName, STATISTICS } from './fields'
import { speak, t } from './i18n'
import { LayerBar } from './layers'
import { Layout } from './layout'
import { MapPanel } from './mappanel'
import { Notices } from './notices'
import { PlaceView, type Shown } from './place'
import { Published, type Entry, type Row } from './published'
import { Display } from './scene'
import type { Found } from './search'
import { entryOf, nameOf, Run, Watch } from './session'
import { State, type View } from './state'
import { StateLine } from './stateline'
import { freshness } from './time'
import { Timeline } from './timeline'
import { format, parse } from './url'
import type { Field } from './zarr'

const IDLE_MS = 60_000
const NONE: Row[] = []

export class App {
  readonly state: State
  readonly notices = new Notices()
  readonly map: MapPanel
  readonly board = new BoardView({ choose: (row) => this.chooseRow(row) })
  readonly place = new PlaceView((found) => this.chooseFound(found))
  readonly timeline = new Timeline((at) => this.goTo(at))
  readonly layers = new LayerBar((change) => this.state.set(change))
  readonly layout: Layout
  run: Run | null = null
  private readonly line: StateLine
  private readonly published: Published
  private readonly watch: Watch
  private readonly began = Date.now()
  private borders: Borders | null = null
  private bordersRead = Promise.resolve()
  private display: Display | null = null
  private winds: { run: Run; speed: Field; direction: Field } | null = null
  private readonly chosen = new ChosenPlace(
    (place) => this.state.set({ place }),
    () => this.render(),
  )
  private touched = 0
  private opening: string | null = null
  private readonly drawn = new Map<string, string>()

  constructor(help: () => void) {
    const { view, ignored } = parse(location.search)
    this.state = new State(view)
    speak(view.lang)
    document.documentElement.dataset.theme = view.theme
    const root = new URL(view.root, location.href).href.replace(/\/$/, '')
    this.published = new Published(`${root}/${view.exp}`)
    this.watch = new Watch(this.published, () => this.watched())
    this.line = new StateLine({ change: (change) => this.state.set(change), help })
    this.map = new MapPanel((change) => this.state.set(change))
    this.layout = new Layout({
      state: this.line.element,
      notices: this.notices.element,
      board: this.board.element,
      map: this.map.element,
      place: this.place.element,
      timeline: this.timeline.element,
      layers: this.layers.element,
    })
    this.layout.tab(view.place ? 'place' : 'board')
    if (ignored.length) this.notices.set('ignored', 'info', () => t('notice.ignored', { what: ignored.join(', ') }))
    this.state.on((now, before) => this.changed(now, before))
    for (const name of ['pointerdown', 'keydown']) document.addEventListener(name, () => (this.touched = Date.now()))
  }

  /** Read what is published and show it; look again every minute. */
  async start(): Promise<void> {
    this.render()
    this.bordersRead = this.readBorders()
    const { run } = this.state.view
    if (run) await this.open(entryOf(run))
    await this.watch.look()
    this.watch.start()
    window.setInterval(() => this.render(), 15_000)
  }

  private async readBorders(): Promise<void> {
    try {
      const answer = await fetch(new URL('borders.json', document.baseURI))
      this.borders = new Borders(await answer.json())
      this.map.setBorders(this.borders)
      this.render()
    } catch {
      this.notices.set('borders', 'warning', () => t('notice.borders'))
    }
  }

  /** What time it is; simulated forecasts may be looked at as of another time. */
  get now(): number {
    const { now } = this.state.view
    return now !== null && (this.run === null || this.run.about.simulated) ? now + Date.now() - this.began : Date.now()
  }

  /** The place of the hour that is shown in the list of hours. */
  get at(): number {
    const { run } = this
    if (!run) return 0
    const wanted = this.state.view.t ?? this.now
    const found = run.hours.findIndex((hour) => hour >= wanted)
    if (found >= 0) return found
    return this.state.view.t === null ? 0 : run.hours.length - 1
  }

  private watched(): void {
    const { newest, trouble } = this.watch
    this.notices.trouble(trouble, this.watch.contact)
    if (newest && !this.state.view.run) {
      const same = this.run && nameOf(this.run.entry) === nameOf(newest)
      const busy = Date.now() - this.touched < IDLE_MS || this.timeline.dragging || this.timeline.playing
      if (same) this.run!.entry.next_expected = newest.next_expected
      else if (this.run && busy) this.offer(newest)
      else void this.open(newest)
    } else if (newest && this.run && newest.run !== this.run.entry.run) this.offer(newest)
    this.render()
  }

  private offer(entry: Entry): void {
    this.notices.set('offer', 'info', () => t('notice.offer', { init: entry.init_time.slice(0, 13) }), {
      label: () => t('notice.show'),
      go: () => {
        this.state.set({ run: null })
        void this.open(entry)
      },
    })
  }

  /** Show another run when its map can be drawn, not before; until then, or if it cannot, the last one stays. */
  private async open(entry: Entry): Promise<void> {
    if (this.opening === nameOf(entry)) return
    this.opening = nameOf(entry)
    try {
      const [run, board] = await Promise.all([
        Run.open(this.published, entry),
        this.published.board(entry).catch((error: Error) => error),
      ])
      if (board instanceof Error) this.notices.failed('board', board)
      else {
        run.board = board
        this.notices.clear('board')
      }
      const display = await this.read(run)
      const { t: wanted } = this.state.view
      const gone = wanted !== null && !run.hours.includes(wanted)
      Object.assign(this, { run, display, winds: null })
      this.map.setGrid(run.grid)
      this.notices.clear('offer', 'run', 'field')
      if (gone) this.notices.set('gone', 'warning', () => t('notice.gone'))
      this.render()
      void this.complete(run)
    } catch (error) {
      this.notices.failed(this.run ? 'newrun' : 'run', error as Error)
    } finally {
      this.opening = null
      this.render()
    }
  }

  private async complete(run: Run): Promise<void> {
    void this.loadWinds()
    void this.bordersRead.then(() => this.loadPlace())
    try {
      run.manifest = await this.published.manifest(run.entry)
    } catch (error) {
      this.notices.failed('manifest', error as Error)
    }
    this.render()
  }

  private async read(run: Run): Promise<Display> {
    const choice = fitting(this.state.view, run.maps.names, run.board)
    const name = mapName(choice)
    const field = name === null ? null : await run.maps.field(name)
    return new Display(choice, field, run.board)
  }

  private async loadField(): Promise<void> {
    const { run } = this
    if (!run) return
    const { f, s, thr } = this.state.view
    try {
      const display = await this.read(run)
      const { view } = this.state
      if (this.run !== run || view.f !== f || view.s !== s || view.thr !== thr) return
      this.display = display
      this.notices.clear('field')
    } catch (error) {
      this.display = null
      this.notices.failed('field', error as Error)
    }
    this.render()
  }

  private get wantsWinds(): boolean {
    return this.state.view.barbs && this.display !== null && !STATISTICS[this.display.choice.s].threshold
  }

  private async loadWinds(): Promise<void> {
    const { run } = this
    if (!run || !this.wantsWinds || this.winds?.run === run) return
    try {
      const [speed, direction] = await Promise.all(
        ['wind_speed_mean', 'wind_direction_mean'].map((name) => run.maps.field(name)),
      )
      if (this.run === run) this.winds = { run, speed, direction }
    } catch (error) {
      this.notices.failed('winds', error as Error)
    }
    this.render()
  }

  private loadPlace(): Promise<void> {
    return this.chosen.load(ChosenPlace.of(this.state.view.place, this.run), this.run, this.borders)
  }

  private shownPlace(run: Run | null): Shown | null {
    const { place } = this.state.view
    const shown = this.chosen.shown(ChosenPlace.of(place, run), run, this.borders)
    return shown && !place ? { ...shown, note: t('place.first') } : shown
  }

  private changed(view: View, before: View): void {
    if (view.lang !== before.lang) speak(view.lang)
    if (view.theme !== before.theme) document.documentElement.dataset.theme = view.theme
    history.replaceState(null, '', format(view))
    if (view.t !== before.t) this.notices.clear('gone')
    if (view.f !== before.f || view.s !== before.s || view.thr !== before.thr)
      void this.loadField().then(() => this.loadWinds())
    if (view.barbs !== before.barbs) void this.loadWinds()
    if (view.place !== before.place) {
      this.layout.tab(view.place ? 'place' : 'board')
      void this.loadPlace()
    }
    this.render()
  }

  private goTo(at: number): void {
    if (this.run) this.state.set({ t: this.run.hours[at] })
  }

  private chooseRow({ zone }: Row): void {
    this.state.set({ place: { zone: zone.code } })
  }

  private chooseFound({ place }: Found): void {
    this.state.set({ place })
  }

  /** Draw what has changed: each view when something that it shows did. */
  render(): void {
    const { run, at, display } = this
    const { view } = this.state
    const age = run && (view.run ? 'past' : freshness(this.now, run.nextExpected, run.validUntil))
    this.line.show(view, run && { run, freshness: age!, valid: run.hours[at], now: this.now })
    this.notices.age(age, run)
    this.notices.show()
    this.once('layout', `${run && nameOf(run.entry)} ${!!run?.board} ${view.lang}`, () => this.layout.show(run))
    const where = view.place && 'zone' in view.place ? view.place.zone : null
    const runKey = `${run && nameOf(run.entry)} ${run?.board ? 1 : 0} ${view.lang}`
    this.once('board', `${runKey} ${where}`, () => this.board.show(run?.board ?? null, run?.init ?? NaN, where))
    this.once('timeline', `${runKey} ${at}`, () => this.timeline.show(run?.hours ?? [], at, run?.board?.rows ?? NONE))
    const shown = { ...view, ...display?.choice }
    const { f, s, thr, barbs, pal } = shown
    this.once('layers', `${runKey} ${f} ${s} ${thr} ${barbs} ${pal}`, () =>
      this.layers.show(shown, run?.maps.names ?? new Set(), run?.board ?? null),
    )
    const winds = run && this.wantsWinds && this.winds?.run === run ? this.winds : null
    this.map.show({ run, display, at, view, winds, stale: age === 'stale', borders: this.borders })
    this.place.show(run, this.shownPlace(run), at)
  }

  private once(name: string, key: string, draw: () => void): void {
    if (this.drawn.get(name) === key) return
    this.drawn.set(name, key)
    draw()
  }

  /** Go some hours on. */
  step(by: number): void {
    this.timeline.step(by)
  }
}
