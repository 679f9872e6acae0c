// The same drawing calls on a canvas, for the screen, and as SVG, for a figure.

export type Spot = readonly number[];

interface Stroke {
  color: string;
  width?: number;
  alpha?: number;
  dash?: number[];
}

interface Area {
  color: string;
  alpha?: number;
}

interface Dots {
  color: string | null;
  alpha?: number;
  stroke?: string | null;
  width?: number;
}

interface Box {
  fill?: string | null;
  stroke?: string | null;
  alpha?: number;
  line?: number;
}

interface Letters {
  color: string;
  size?: number;
  anchor?: "start" | "middle" | "end";
  bold?: boolean;
  turn?: number;
  halo?: string | null;
}

export interface Surface {
  line(points: Spot[], look: Stroke): void;
  area(points: Spot[], look: Area): void;
  dots(points: Spot[], radius: number, look: Dots): void;
  rect(x: number, y: number, width: number, height: number, look: Box): void;
  text(x: number, y: number, words: string, look: Letters): void;
  image(picture: HTMLImageElement | null, x: number, y: number, width: number, height: number): void;
  part(picture: HTMLImageElement, sx: number, sy: number, side: number, x: number, y: number, size: number): void;
  clip(x: number, y: number, width: number, height: number, draw: () => void): void;
}

const FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
type Attributes = Record<string, string | number | null | undefined>;

const NS = "http://www.w3.org/2000/svg";

export class CanvasSurface implements Surface {
  constructor(private readonly context: CanvasRenderingContext2D) {}

  line(points: Spot[], { color, width = 1.5, alpha = 1, dash = [] }: Stroke): void {
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

  area(points: Spot[], { color, alpha = 0.2 }: Area): void {
    const c = this.context;
    Object.assign(c, { fillStyle: color, globalAlpha: alpha });
    c.beginPath();
    points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
    c.fill();
    c.globalAlpha = 1;
  }

  dots(points: Spot[], radius: number, { color, alpha = 1, stroke = null, width = 1.5 }: Dots): void {
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

  rect(
    x: number,
    y: number,
    width: number,
    height: number,
    { fill = null, stroke = null, alpha = 1, line = 1 }: Box,
  ): void {
    const c = this.context;
    Object.assign(c, { globalAlpha: alpha, lineWidth: line });
    if (fill) {
      c.fillStyle = fill;
      c.fillRect(x, y, width, height);
    }
    if (stroke) {
      c.strokeStyle = stroke;
      c.strokeRect(x, y, width, height);
    }
    c.globalAlpha = 1;
  }

  text(
    x: number,
    y: number,
    words: string,
    { color, size = 12, anchor = "start", bold = false, turn = 0, halo = null }: Letters,
  ): void {
    const c = this.context;
    c.save();
    c.translate(x, y);
    c.rotate((turn * Math.PI) / 180);
    Object.assign(c, {
      fillStyle: color,
      font: `${bold ? "600 " : ""}${size}px ${FONT}`,
      textAlign: anchor === "middle" ? "center" : anchor,
    });
    if (halo) {
      Object.assign(c, { strokeStyle: halo, lineWidth: 3, lineJoin: "round" });
      c.strokeText(words, 0, 0);
    }
    c.fillText(words, 0, 0);
    c.restore();
  }

  image(picture: HTMLImageElement | null, x: number, y: number, width: number, height: number): void {
    if (!picture?.complete || !picture.naturalWidth) return;
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(picture, x, y, width, height);
  }

  // A square of a larger picture.
  part(picture: HTMLImageElement, sx: number, sy: number, side: number, x: number, y: number, size: number): void {
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(picture, sx, sy, side, side, x, y, size, size);
  }

  clip(x: number, y: number, width: number, height: number, draw: () => void): void {
    this.context.save();
    this.context.beginPath();
    this.context.rect(x, y, width, height);
    this.context.clip();
    draw();
    this.context.restore();
  }
}

export class SvgSurface implements Surface {
  private readonly root = document.createElementNS(NS, "svg");
  private parent: SVGElement = this.root;
  private clips = 0;

  constructor(width: number, height: number) {
    this.set(this.root, { xmlns: NS, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT });
  }

  private set(element: SVGElement, attributes: Attributes): void {
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined)
        element.setAttribute(name, typeof value === "number" ? String(+value.toFixed(2)) : value);
    }
  }

  private add(tag: string, attributes: Attributes, text?: string): SVGElement {
    const element = document.createElementNS(NS, tag) as SVGElement;
    this.set(element, attributes);
    if (text !== undefined) element.textContent = text;
    this.parent.append(element);
    return element;
  }

  private path(points: Spot[]): string {
    return `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
  }
  line(points: Spot[], { color, width = 1.5, alpha = 1, dash = [] }: Stroke): void {
    if (points.length > 1)
      this.add("path", {
        d: this.path(points),
        fill: "none",
        stroke: color,
        "stroke-width": width,
        "stroke-opacity": alpha,
        "stroke-dasharray": dash.length ? dash.join(" ") : null,
        "stroke-linejoin": "round",
        "stroke-linecap": "round",
      });
  }

  area(points: Spot[], { color, alpha = 0.2 }: Area): void {
    this.add("path", { d: `${this.path(points)}Z`, fill: color, "fill-opacity": alpha });
  }
  dots(points: Spot[], radius: number, { color, alpha = 1, stroke = null, width = 1.5 }: Dots): void {
    for (const [cx, cy] of points)
      this.add("circle", {
        cx,
        cy,
        r: radius,
        fill: color ?? "none",
        stroke,
        "stroke-width": stroke ? width : null,
        opacity: alpha,
      });
  }

  rect(
    x: number,
    y: number,
    width: number,
    height: number,
    { fill = null, stroke = null, alpha = 1, line = 1 }: Box,
  ): void {
    this.add("rect", {
      x,
      y,
      width,
      height,
      fill: fill ?? "none",
      stroke,
      "stroke-width": stroke ? line : null,
      opacity: alpha,
    });
  }

  text(
    x: number,
    y: number,
    words: string,
    { color, size = 12, anchor = "start", bold = false, turn = 0 }: Letters,
  ): void {
    this.add(
      "text",
      {
        x,
        y,
        fill: color,
        "font-size": size,
        "text-anchor": anchor,
        "font-weight": bold ? 600 : null,
        transform: turn ? `rotate(${turn} ${x} ${y})` : null,
      },
      words,
    );
  }

  image(picture: HTMLImageElement | null, x: number, y: number, width: number, height: number): void {
    if (picture) this.href(picture.src, x, y, width, height);
  }

  private href(href: string, x: number, y: number, width: number, height: number): void {
    this.add("image", { x, y, width, height, href, preserveAspectRatio: "none", style: "image-rendering: pixelated" });
  }

  part(picture: HTMLImageElement, sx: number, sy: number, side: number, x: number, y: number, size: number): void {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    canvas.getContext("2d")?.drawImage(picture, sx, sy, side, side, 0, 0, side, side);
    this.href(canvas.toDataURL(), x, y, size, size);
  }

  clip(x: number, y: number, width: number, height: number, draw: () => void): void {
    const id = `clip${++this.clips}`;
    const outer = this.parent;
    this.parent = this.add("clipPath", { id });
    this.add("rect", { x, y, width, height });
    this.parent = outer;
    this.parent = this.add("g", { "clip-path": `url(#${id})` });
    draw();
    this.parent = outer;
  }

  toString(): string {
    return new XMLSerializer().serializeToString(this.root);
  }
}
