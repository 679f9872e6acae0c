// A drawing area: sized to its place, drawn again when needed, pointed at, saved as a figure.
// Nothing is drawn while there is no concept space.

import { make, save } from "./dom.js";
import { space } from "./model.js";
import { ink } from "./palette.js";
import { CanvasSurface, SvgSurface } from "./surface.js";

const REACH = 26;

// What may be pointed at: points of several owners, in plain arrays because there may be 100 000.
export class Hits {
  // drawn: [[owner, [[x, y], ...]], ...]; refer(owner, i) tells what a point stands for.
  constructor(drawn, refer = (line, i) => ({ line, i })) {
    const count = drawn.reduce((sum, [, spots]) => sum + spots.length, 0);
    Object.assign(this, { drawn, refer, xs: new Float32Array(count), ys: new Float32Array(count), starts: [] });
    let at = 0;
    for (const [, spots] of drawn) {
      this.starts.push(at);
      for (const [x, y] of spots) {
        this.xs[at] = x;
        this.ys[at++] = y;
      }
    }
  }

  nearest(x, y, reach) {
    let best = -1, least = reach * reach;
    for (let k = 0; k < this.xs.length; k++) {
      const distance = (this.xs[k] - x) ** 2 + (this.ys[k] - y) ** 2;
      if (distance < least) [least, best] = [distance, k];
    }
    if (best < 0) return null;
    const owner = d3.bisectRight(this.starts, best) - 1;
    return this.refer(this.drawn[owner][0], best - this.starts[owner]);
  }
}

export class Chart {
  // draw(surface, width, height) paints and returns [{ x, y, ref }], or a function that makes Hits; over(...) paints on top. What lies outside the window is drawn once it comes near.
  constructor(place, { name, draw, over = null, hover = null, label, keys = null, height = null }) {
    Object.assign(this, { place, name, paint: draw, over, hover, label, height, hits: [], dirty: false, near: false, stale: false });
    this.base = make("canvas", { "aria-hidden": "true" });
    this.top = make("canvas", { "aria-hidden": "true" });
    this.pad = make("div", { class: "pad", role: "img", "aria-label": name });
    if (keys) {
      this.pad.tabIndex = 0;
      this.pad.setAttribute("role", "application");
      this.pad.addEventListener("keydown", (event) => {
        if (keys(event)) event.preventDefault();
      });
    }
    this.tools = make("div", { class: "tools" },
      make("button", { type: "button", "aria-label": `Save ${name} as SVG`, click: () => this.saveSvg() }, "SVG"),
      make("button", { type: "button", "aria-label": `Save ${name} as PNG`, click: () => this.savePng() }, "PNG"));
    place.append(this.base, this.top, this.pad, this.tools);
    this.pad.addEventListener("pointermove", (event) => { if (event.pointerType !== "touch") this.point(event, REACH); });
    this.pad.addEventListener("pointerdown", (event) => this.point(event, REACH * 1.6));
    new ResizeObserver(() => this.refresh()).observe(place);
    new IntersectionObserver((seen) => {
      this.near = seen.at(-1).isIntersecting;
      if (this.near && this.stale) this.now();
    }, { rootMargin: "250px" }).observe(place);
  }

  size() {
    return [this.place.clientWidth, this.place.clientHeight];
  }

  refresh() {
    if (this.dirty) return;
    this.dirty = true;
    requestAnimationFrame(() => this.now());
  }

  now() {
    this.dirty = false;
    if (this.height && space()) this.place.style.height = `${this.height(this.place.clientWidth)}px`;
    const [width, height] = this.size();
    this.stale = !this.near;
    if (!width || !height || !space() || this.stale) return;
    this.fit(this.base, width, height);
    this.hits = this.paint(new CanvasSurface(this.base.getContext("2d")), width, height) ?? [];
    this.pad.setAttribute("aria-label", this.label());
    this.place.dataset.drawn = String(Number(this.place.dataset.drawn ?? 0) + 1);
    this.refreshTop();
  }

  refreshTop() {
    const [width, height] = this.size();
    if (!this.over || !width || !height || !space() || this.stale) return;
    this.fit(this.top, width, height);
    this.over(new CanvasSurface(this.top.getContext("2d")), width, height);
  }

  fit(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    const wanted = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== wanted[0] || canvas.height !== wanted[1]) [canvas.width, canvas.height] = wanted;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
  }

  nearest(x, y, reach) {
    if (typeof this.hits === "function") this.hits = this.hits();
    if (Array.isArray(this.hits)) this.hits = new Hits(this.hits.map((hit) => [hit.ref, [[hit.x, hit.y]]]), (ref) => ref);
    return this.hits.nearest(x, y, reach);
  }

  point(event, reach) {
    if (!this.hover || this.dragging) return;
    const box = this.pad.getBoundingClientRect();
    const ref = this.nearest(event.clientX - box.left, event.clientY - box.top, reach);
    if (ref) this.hover(ref, event);
  }

  svg() {
    const [width, height] = this.size(), surface = new SvgSurface(width, height);
    surface.rect(0, 0, width, height, { fill: ink().paper });
    this.paint(surface, width, height);
    if (this.over) this.over(surface, width, height);
    return surface.toString();
  }

  canvas(ratio = 2) {
    const [width, height] = this.size(), canvas = make("canvas");
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    const context = canvas.getContext("2d"), surface = new CanvasSurface(context);
    context.scale(ratio, ratio);
    surface.rect(0, 0, width, height, { fill: ink().paper });
    this.paint(surface, width, height);
    if (this.over) this.over(surface, width, height);
    return canvas;
  }

  saveSvg() { save(`${this.name}.svg`, new Blob([this.svg()], { type: "image/svg+xml" })); }
  savePng() { this.canvas(3).toBlob((blob) => save(`${this.name}.png`, blob), "image/png"); }
}

// A frame with ticks for two scales; d3 chooses the ticks.
export function axes(surface, { x, y, xLabel, yLabel, xTicks = 5, yTicks = 5, xFormat = null, yFormat = null, grid = true }) {
  const color = ink(), [left, right] = x.range(), [bottom, top] = y.range();
  surface.rect(left, top, right - left, bottom - top, { stroke: color.line });
  const fx = xFormat ?? x.tickFormat(xTicks), fy = yFormat ?? y.tickFormat(yTicks);
  for (const tick of x.ticks(xTicks)) {
    const at = x(tick);
    if (at < left - 0.5 || at > right + 0.5) continue;
    if (grid) surface.line([[at, top], [at, bottom]], { color: color.line, width: 0.7 });
    surface.text(at, bottom + 15, fx(tick), { color: color.quiet, size: 11, anchor: "middle" });
  }
  for (const tick of y.ticks(yTicks)) {
    const at = y(tick);
    if (at > bottom + 0.5 || at < top - 0.5) continue;
    if (grid) surface.line([[left, at], [right, at]], { color: color.line, width: 0.7 });
    surface.text(left - 6, at + 4, fy(tick), { color: color.quiet, size: 11, anchor: "end" });
  }
  if (xLabel) surface.text((left + right) / 2, bottom + 31, xLabel, { color: color.ink, size: 12, anchor: "middle" });
  if (yLabel) surface.text(left - 38, (top + bottom) / 2, yLabel, { color: color.ink, size: 12, anchor: "middle", turn: -90 });
}
