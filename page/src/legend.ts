// What colors and marks in concept space mean.

import { onAxes } from "./axis";
import { coloring, colorKey } from "./coloring";
import { byId, words } from "./dom";
import { protocolNames, settled, shownLines, tabular } from "./model";
import { state } from "./store";

export function legend(): void {
  if (!settled()) return;
  const { entries, numeric } = coloring();
  const place = byId("legend");
  const node = (text: string, css: string) => {
    const span = document.createElement("span");
    const key = document.createElement("i");
    key.className = "key";
    key.style.borderTopColor = css;
    span.append(key, text);
    return span;
  };
  const items: (string | HTMLElement)[] = [];
  if (numeric && entries.length > 1) {
    const span = document.createElement("span");
    const key = document.createElement("i");
    key.className = "ramp";
    key.style.background = `linear-gradient(90deg, ${entries.map(([, css]) => css).join()})`;
    span.append(`${words(colorKey())} ${entries[0][0]}`, key, entries.at(-1)?.[0] ?? "");
    items.push(span);
  } else items.push(...entries.slice(0, 24).map(([text, css]) => node(text, css)));
  if (entries.length > 24 && !numeric) items.push(`and ${entries.length - 24} more`);
  if (state.protocols.size > 1 && colorKey() !== "protocol")
    items.push(
      `dashes: ${protocolNames()
        .filter((n) => state.protocols.has(n))
        .map((n, i) => (i ? `${n} dashed` : `${n} solid`))
        .join(", ")}`,
    );
  const many = shownLines().some((line) => line.runs.length > 1);
  items.push(
    `cross: 95 % interval ${many ? "over runs (of two, their range)" : `of the ${tabular() ? "samples" : "images"} of one run`} · hollow: first checkpoint · star: turn`,
  );
  if (shownLines().some((line) => !onAxes(line)))
    items.push("not drawn: classes with other values than those of the axes");
  place.replaceChildren(
    ...items.map((item) =>
      typeof item === "string" ? Object.assign(document.createElement("span"), { textContent: item }) : item,
    ),
  );
}
