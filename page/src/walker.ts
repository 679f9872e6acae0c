// Images on a canvas, to be opened: by a click, or by a button that lies on one image and moves with the
// arrow keys.

import { make } from "./dom";

export interface Cell {
  x: number;
  y: number;
  side: number;
  label: () => string;
  open: () => void;
}

const NEXT: Record<string, (cells: Cell[], at: number) => number> = {
  ArrowRight: (cells, at) => Math.min(cells.length - 1, at + 1),
  ArrowLeft: (_, at) => Math.max(0, at - 1),
  ArrowDown: (cells, at) => beside(cells, at, 1),
  ArrowUp: (cells, at) => beside(cells, at, -1),
  Home: () => 0,
  End: (cells) => cells.length - 1,
};

// The cell in the next row that lies closest below or above.
export function beside(cells: Cell[], at: number, way: number): number {
  const rows = cells.map((cell) => way * (cell.y - cells[at].y)).filter((far) => far > 0);
  if (!rows.length) return at;
  const next = Math.min(...rows);
  return cells.reduce(
    (best, cell, n) =>
      way * (cell.y - cells[at].y) === next &&
      (best < 0 || Math.abs(cell.x - cells[at].x) < Math.abs(cells[best].x - cells[at].x))
        ? n
        : best,
    -1,
  );
}

export class Walker {
  private cells: Cell[] = [];
  private at = 0;
  private readonly frame = make("button", {
    type: "button",
    class: "frame",
    hidden: true,
    "aria-label": "No image yet",
  });
  private readonly said = make("span", { class: "sr", role: "status" });

  // The canvas has to stand in a place of its own, as large as itself.
  constructor(private readonly canvas: HTMLCanvasElement) {
    canvas.after(this.frame, this.said);
    canvas.addEventListener("click", (event) => {
      const scale = canvas.width / canvas.clientWidth;
      const found = this.cells.findIndex((cell) => within(cell, event.offsetX * scale, event.offsetY * scale));
      if (found < 0) return;
      this.go(found);
      this.cells[found].open();
    });
    this.frame.onclick = () => this.cells[this.at]?.open();
    this.frame.onfocus = () => this.go(this.at);
    this.frame.addEventListener("keydown", (event) => {
      const next = NEXT[event.key];
      if (!next || !this.cells.length) return;
      event.preventDefault();
      this.go(next(this.cells, this.at));
      this.said.textContent = this.cells[this.at].label();
    });
  }

  // at: the image on which the button lies; by default it stays where it is.
  set(cells: Cell[], at = this.at): void {
    this.cells = cells;
    this.at = at;
    this.frame.hidden = !cells.length;
    this.go(Math.max(0, Math.min(this.at, cells.length - 1)));
  }

  private go(at: number): void {
    this.at = at;
    this.frame.dataset.at = String(at);
    const cell = this.cells[at];
    if (!cell) return;
    const share = (value: number, whole: number) => `${(100 * value) / whole}%`;
    const { width, height } = this.canvas;
    Object.assign(this.frame.style, {
      left: share(cell.x, width),
      top: share(cell.y, height),
      width: share(cell.side, width),
      height: share(cell.side, height),
    });
    this.frame.setAttribute("aria-label", `Look at ${cell.label()}; arrow keys go to other images`);
  }
}

const within = ({ x, y, side }: Cell, px: number, py: number) => px >= x && px < x + side && py >= y && py < y + side;
