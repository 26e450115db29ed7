/** The run that is shown, and the watch over what is published. */

import { Grid } from './grid'
import { type Board, Broken, type Entry, type Manifest, Published } from './published'
import { HOUR, MINUTE, moment } from './time'
import { type About, Maps, Points } from './zarr'

const EVERY = MINUTE
/** Between cycles, where `latest.json` does not say when the next is expected, nor until when it holds. */
const NEXT_AFTER = 9 * HOUR
const VALID_FOR = 12 * HOUR

/** A run whose maps can be read; what else it has may be missing, and is said. */
export class Run {
  board: Board | null = null
  manifest: Manifest | null = null
  private points: Promise<Points> | null = null

  private constructor(
    readonly published: Published,
    readonly entry: Entry,
    readonly maps: Maps,
  ) {}

  /** Open a run; raises Broken or Unreachable where its maps cannot be read. */
  static async open(published: Published, entry: Entry): Promise<Run> {
    return new Run(published, entry, await Maps.open(published.of(entry), moment(entry.init_time)))
  }

  get about(): About {
    return this.maps.about
  }

  get grid(): Grid {
    return new Grid(this.about.axes.latitude, this.about.axes.longitude)
  }

  get init(): number {
    return moment(this.about.init_time)
  }

  /** Valid times of its hours. */
  get hours(): number[] {
    return this.about.lead_hours.map((lead) => this.init + lead * HOUR)
  }

  get nextExpected(): number {
    return moment(this.entry.next_expected ?? '') || this.init + NEXT_AFTER
  }

  get validUntil(): number {
    return moment(this.entry.valid_until ?? '') || this.init + VALID_FOR
  }

  get members(): number {
    return this.board?.members ?? this.about.members ?? 0
  }

  openPoints(): Promise<Points> {
    this.points ??= Points.open(this.published.of(this.entry), this.init)
    this.points.catch(() => (this.points = null))
    return this.points
  }
}

/** The entry of a run that is asked for by name: `20260812T06Z/<run>`. */
export function entryOf(name: string): Entry {
  const [cycle, run] = name.split('/')
  const init_time = `${cycle.slice(0, 4)}-${cycle.slice(4, 6)}-${cycle.slice(6, 11)}:00:00Z`
  return { init_time, run, manifest: `${name}/manifest.json`, status: 'complete' }
}

/** The name of the run of an entry, as `entryOf` takes it. */
export function nameOf(entry: Entry): string {
  return entry.manifest.split('/').slice(0, 2).join('/')
}

/** Looks at `latest.json` every minute, and remembers when it last could. */
export class Watch {
  newest: Entry | null = null
  trouble: Error | null = null
  /** When `latest.json` was last read, by the machine's clock. */
  contact = NaN

  constructor(
    private readonly published: Published,
    private readonly told: () => void,
  ) {}

  async look(): Promise<void> {
    try {
      this.newest = await this.published.latest()
      this.trouble = null
      this.contact = Date.now()
    } catch (error) {
      this.trouble = error instanceof Error ? error : new Broken('latest.json', String(error))
    }
    this.told()
  }

  /** Look from now on. */
  start(): void {
    window.setInterval(() => void this.look(), EVERY)
    window.addEventListener('online', () => void this.look())
  }
}
