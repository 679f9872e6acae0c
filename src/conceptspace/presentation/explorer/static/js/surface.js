// The same drawing calls on a canvas, for the screen, and as SVG, for a figure.

const FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const NS = "http://www.w3.org/2000/svg";

export class CanvasSurface {
  constructor(context) {
    this.context = context;
  }

  line(points, { color, width = 1.5, alpha = 1, dash = [] }) {
    if (points.length < 2) return;
    const c = this.context;
    Object.assign(c, { strokeStyle: color, lineWidth: width, globalAlpha: alpha, lineJoin: "round", lineCap: "round" });
    c.setLineDash(dash);
    c.beginPath();
    c.moveTo(points[0][0], points[0][1]);
    for (let i = 1; i < points.length; i++) c.lineTo(points[i][0], points[i][1]);
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  area(points, { color, alpha = 0.2 }) {
    const c = this.context;
    Object.assign(c, { fillStyle: color, globalAlpha: alpha });
    c.beginPath();
    points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
    c.fill();
    c.globalAlpha = 1;
  }

  dots(points, radius, { color, alpha = 1, stroke = null, width = 1.5 }) {
    const c = this.context;
    Object.assign(c, { fillStyle: color, strokeStyle: stroke ?? color, lineWidth: width, globalAlpha: alpha });
    c.beginPath();
    for (const [x, y] of points) {
      c.moveTo(x + radius, y);
      c.arc(x, y, radius, 0, 2 * Math.PI);
    }
    if (color) c.fill();
    if (stroke) c.stroke();
    c.globalAlpha = 1;
  }

  rect(x, y, width, height, { fill = null, stroke = null, alpha = 1, line = 1 }) {
    const c = this.context;
    Object.assign(c, { globalAlpha: alpha, lineWidth: line });
    if (fill) { c.fillStyle = fill; c.fillRect(x, y, width, height); }
    if (stroke) { c.strokeStyle = stroke; c.strokeRect(x, y, width, height); }
    c.globalAlpha = 1;
  }

  text(x, y, words, { color, size = 12, anchor = "start", bold = false, turn = 0, halo = null }) {
    const c = this.context;
    c.save();
    c.translate(x, y);
    c.rotate((turn * Math.PI) / 180);
    Object.assign(c, { fillStyle: color, font: `${bold ? "600 " : ""}${size}px ${FONT}`, textAlign: anchor === "middle" ? "center" : anchor });
    if (halo) {
      Object.assign(c, { strokeStyle: halo, lineWidth: 3, lineJoin: "round" });
      c.strokeText(words, 0, 0);
    }
    c.fillText(words, 0, 0);
    c.restore();
  }

  image(picture, x, y, width, height) {
    if (!picture?.complete || !picture.naturalWidth) return;
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(picture, x, y, width, height);
  }

  // A square of a larger picture.
  part(picture, sx, sy, side, x, y, size) {
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(picture, sx, sy, side, side, x, y, size, size);
  }

  clip(x, y, width, height, draw) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(x, y, width, height);
    this.context.clip();
    draw();
    this.context.restore();
  }
}

export class SvgSurface {
  constructor(width, height) {
    this.root = document.createElementNS(NS, "svg");
    this.parent = this.root;
    this.clips = 0;
    this.set(this.root, { xmlns: NS, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT });
  }

  set(element, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) element.setAttribute(name, typeof value === "number" ? +value.toFixed(2) : value);
    }
  }

  add(tag, attributes, text) {
    const element = document.createElementNS(NS, tag);
    this.set(element, attributes);
    if (text !== undefined) element.textContent = text;
    this.parent.append(element);
    return element;
  }

  path(points) { return `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`; }
  line(points, { color, width = 1.5, alpha = 1, dash = [] }) {
    if (points.length > 1) this.add("path", { d: this.path(points), fill: "none", stroke: color, "stroke-width": width, "stroke-opacity": alpha, "stroke-dasharray": dash.length ? dash.join(" ") : null, "stroke-linejoin": "round", "stroke-linecap": "round" });
  }

  area(points, { color, alpha = 0.2 }) { this.add("path", { d: `${this.path(points)}Z`, fill: color, "fill-opacity": alpha }); }
  dots(points, radius, { color, alpha = 1, stroke = null, width = 1.5 }) {
    for (const [cx, cy] of points) this.add("circle", { cx, cy, r: radius, fill: color ?? "none", stroke, "stroke-width": stroke ? width : null, opacity: alpha });
  }

  rect(x, y, width, height, { fill = null, stroke = null, alpha = 1, line = 1 }) {
    this.add("rect", { x, y, width, height, fill: fill ?? "none", stroke, "stroke-width": stroke ? line : null, opacity: alpha });
  }

  text(x, y, words, { color, size = 12, anchor = "start", bold = false, turn = 0 }) {
    this.add("text", { x, y, fill: color, "font-size": size, "text-anchor": anchor, "font-weight": bold ? 600 : null, transform: turn ? `rotate(${turn} ${x} ${y})` : null }, words);
  }

  image(picture, x, y, width, height) {
    if (picture) this.add("image", { x, y, width, height, href: picture.src, preserveAspectRatio: "none", style: "image-rendering: pixelated" });
  }

  part(picture, sx, sy, side, x, y, size) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    canvas.getContext("2d").drawImage(picture, sx, sy, side, side, 0, 0, side, side);
    this.image({ src: canvas.toDataURL() }, x, y, size, size);
  }

  clip(x, y, width, height, draw) {
    const id = `clip${++this.clips}`, outer = this.parent;
    this.parent = this.add("clipPath", { id });
    this.add("rect", { x, y, width, height });
    this.parent = outer;
    this.parent = this.add("g", { "clip-path": `url(#${id})` });
    draw();
    this.parent = outer;
  }

  toString() { return new XMLSerializer().serializeToString(this.root); }
}
