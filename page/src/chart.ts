// A drawing area: sized to its place, drawn again when needed, pointed at, saved as a figure.
// Nothing is drawn while there is no concept space.

import { bisectRight } from "d3-array";
import type { ScaleContinuousNumeric } from "d3-scale";
import { context, make, save } from "./dom";
import { type Line, settled } from "./model";
import { ink } from "./palette";
import { CanvasSurface, type Spot, type Surface, SvgSurface } from "./surface";

export type Scale = ScaleContinuousNumeric<number, number>;

// A checkpoint of a line.
export interface Ref {
  line: Line;
  i: number;
}

export interface Hit<R> {
  x: number;
  y: number;
  ref: R;
}

interface Reachable<R> {
  nearest(x: number, y: number, reach: number): R | null;
}

const REACH = 26;

// What may be pointed at: points of several owners, in plain arrays because there may be 100 000.
export class Hits<O, R> implements Reachable<R> {
  private readonly xs: Float32Array;
  private readonly ys: Float32Array;
  private readonly starts: number[] = [];

  // drawn: the points of each owner; refer(owner, i) returns what a point stands for.
  constructor(
    private readonly drawn: [O, Spot[]][],
    private readonly refer: (owner: O, i: number) => R,
  ) {
    const count = drawn.reduce((sum, [, spots]) => sum + spots.length, 0);
    this.xs = new Float32Array(count);
    this.ys = new Float32Array(count);
    let at = 0;
    for (const [, spots] of drawn) {
      this.starts.push(at);
      for (const [x, y] of spots) {
        this.xs[at] = x;
        this.ys[at++] = y;
      }
    }
  }

  nearest(x: number, y: number, reach: number): R | null {
    let best = -1;
    let least = reach * reach;
    for (let k = 0; k < this.xs.length; k++) {
      const distance = (this.xs[k] - x) ** 2 + (this.ys[k] - y) ** 2;
      if (distance < least) [least, best] = [distance, k];
    }
    if (best < 0) return null;
    const owner = bisectRight(this.starts, best) - 1;
    return this.refer(this.drawn[owner][0], best - this.starts[owner]);
  }
}

export const ofLines = (drawn: [Line, Spot[]][]): Hits<Line, Ref> => new Hits(drawn, (line, i) => ({ line, i }));

type Drawn<R> = Hit<R>[] | (() => Reachable<R>) | null;

interface Options<R> {
  name: string;
  draw: (surface: Surface, width: number, height: number) => Drawn<R>;
  label: () => string;
  over?: (surface: Surface, width: number, height: number) => void;
  hover?: (ref: R, event: PointerEvent) => void;
  keys?: (event: KeyboardEvent) => boolean;
  height?: (width: number) => number;
}

export class Chart<R = null> {
  // draw(surface, width, height) paints and returns [{ x, y, ref }], or a function that makes Hits; over(...) paints on top. What lies outside the window is drawn once it comes near.
  readonly pad: HTMLElement;
  dragging = false;
  spans: Scale[] = [];
  private readonly base = make("canvas", { "aria-hidden": "true" });
  private readonly top = make("canvas", { "aria-hidden": "true" });
  private hits: Reachable<R> | (() => Reachable<R>) | null = null;
  private dirty = false;
  private near = false;
  private stale = false;

  constructor(
    readonly place: HTMLElement,
    private readonly of: Options<R>,
  ) {
    const { name, keys } = of;
    this.pad = make("div", { class: "pad", role: "img", "aria-label": name });
    if (keys) {
      this.pad.tabIndex = 0;
      this.pad.setAttribute("role", "application");
      this.pad.addEventListener("keydown", (event) => {
        if (keys(event)) event.preventDefault();
      });
    }
    const tools = make(
      "div",
      { class: "tools" },
      make("button", { type: "button", "aria-label": `Save ${name} as SVG`, click: () => this.saveSvg() }, "SVG"),
      make("button", { type: "button", "aria-label": `Save ${name} as PNG`, click: () => this.savePng() }, "PNG"),
    );
    place.append(this.base, this.top, this.pad, tools);
    this.pad.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") this.point(event, REACH);
    });
    this.pad.addEventListener("pointerdown", (event) => this.point(event, REACH * 1.6));
    new ResizeObserver(() => this.refresh()).observe(place);
    new IntersectionObserver(
      (seen) => {
        this.near = seen.at(-1)?.isIntersecting ?? false;
        if (this.near && this.stale) this.now();
      },
      { rootMargin: "250px" },
    ).observe(place);
  }

  size(): [number, number] {
    return [this.place.clientWidth, this.place.clientHeight];
  }

  refresh(): void {
    if (this.dirty) return;
    this.dirty = true;
    requestAnimationFrame(() => this.now());
  }

  private now(): void {
    this.dirty = false;
    const { draw, label, height: wanted } = this.of;
    if (wanted && settled()) this.place.style.height = `${wanted(this.place.clientWidth)}px`;
    const [width, height] = this.size();
    this.stale = !this.near;
    if (!width || !height || !settled() || this.stale) return;
    this.fit(this.base, width, height);
    const drawn = draw(new CanvasSurface(context(this.base)), width, height);
    this.hits = Array.isArray(drawn)
      ? new Hits(
          drawn.map((hit) => [hit.ref, [[hit.x, hit.y]]]),
          (ref) => ref,
        )
      : drawn;
    this.pad.setAttribute("aria-label", label());
    this.place.dataset.drawn = String(Number(this.place.dataset.drawn ?? 0) + 1);
    this.refreshTop();
  }

  refreshTop(): void {
    const [width, height] = this.size();
    if (!this.of.over || !width || !height || !settled() || this.stale) return;
    this.fit(this.top, width, height);
    this.of.over(new CanvasSurface(context(this.top)), width, height);
  }

  private fit(canvas: HTMLCanvasElement, width: number, height: number): void {
    const ratio = window.devicePixelRatio || 1;
    const wanted = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== wanted[0] || canvas.height !== wanted[1]) [canvas.width, canvas.height] = wanted;
    const paper = context(canvas);
    paper.setTransform(ratio, 0, 0, ratio, 0, 0);
    paper.clearRect(0, 0, width, height);
  }

  private nearest(x: number, y: number, reach: number): R | null {
    if (typeof this.hits === "function") this.hits = this.hits();
    return this.hits?.nearest(x, y, reach) ?? null;
  }

  private point(event: PointerEvent, reach: number): void {
    const { hover } = this.of;
    if (!hover || this.dragging) return;
    const box = this.pad.getBoundingClientRect();
    const ref = this.nearest(event.clientX - box.left, event.clientY - box.top, reach);
    if (ref) hover(ref, event);
  }

  private whole(surface: Surface): void {
    const [width, height] = this.size();
    surface.rect(0, 0, width, height, { fill: ink().paper });
    this.of.draw(surface, width, height);
    this.of.over?.(surface, width, height);
  }

  svg(): string {
    const surface = new SvgSurface(...this.size());
    this.whole(surface);
    return surface.toString();
  }

  canvas(ratio = 2): HTMLCanvasElement {
    const [width, height] = this.size();
    const canvas = make("canvas");
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    const paper = context(canvas);
    paper.scale(ratio, ratio);
    this.whole(new CanvasSurface(paper));
    return canvas;
  }

  private saveSvg(): void {
    save(`${this.of.name}.svg`, new Blob([this.svg()], { type: "image/svg+xml" }));
  }
  private savePng(): void {
    this.canvas(3).toBlob((blob) => save(`${this.of.name}.png`, blob), "image/png");
  }
}

// A frame with ticks for two scales; d3 chooses the ticks.
type Format = (value: number) => string;

interface Frame {
  x: Scale;
  y: Scale;
  xLabel?: string;
  yLabel?: string;
  xTicks?: number;
  yTicks?: number;
  xFormat?: Format | null;
  yFormat?: Format | null;
}

export function axes(
  surface: Surface,
  { x, y, xLabel, yLabel, xTicks = 5, yTicks = 5, xFormat = null, yFormat = null }: Frame,
): void {
  const color = ink();
  const [left, right] = x.range();
  const [bottom, top] = y.range();
  surface.rect(left, top, right - left, bottom - top, { stroke: color.line });
  const fx = xFormat ?? x.tickFormat(xTicks);
  const fy = yFormat ?? y.tickFormat(yTicks);
  for (const tick of x.ticks(xTicks)) {
    const at = x(tick);
    if (at < left - 0.5 || at > right + 0.5) continue;
    surface.line(
      [
        [at, top],
        [at, bottom],
      ],
      { color: color.line, width: 0.7 },
    );
    surface.text(at, bottom + 15, fx(tick), { color: color.quiet, size: 11, anchor: "middle" });
  }
  for (const tick of y.ticks(yTicks)) {
    const at = y(tick);
    if (at > bottom + 0.5 || at < top - 0.5) continue;
    surface.line(
      [
        [left, at],
        [right, at],
      ],
      { color: color.line, width: 0.7 },
    );
    surface.text(left - 6, at + 4, fy(tick), { color: color.quiet, size: 11, anchor: "end" });
  }
  if (xLabel) surface.text((left + right) / 2, bottom + 31, xLabel, { color: color.ink, size: 12, anchor: "middle" });
  if (yLabel)
    surface.text(left - 38, (top + bottom) / 2, yLabel, { color: color.ink, size: 12, anchor: "middle", turn: -90 });
}
