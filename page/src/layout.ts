// On a narrow screen the plot comes right after the verdict, and its controls after it.

import { byId } from "./dom";
import { change } from "./store";

const narrow = matchMedia("(max-width: 900px)");

function arrange() {
  const space = byId("space-section");
  const evidence = byId("evidence-section");
  const controls = byId("view-controls");
  if (narrow.matches) {
    evidence.before(space);
    space.append(controls);
    byId("legend").after(byId("knobs"));
  } else {
    evidence.after(space);
    space.querySelector(".title")?.after(controls);
    controls.after(byId("knobs"));
  }
  change({ narrow: narrow.matches });
}

// Paper shows everything: what folds is opened, what would be drawn once it is near is drawn.
export function startLayout() {
  arrange();
  narrow.addEventListener("change", arrange);
  window.addEventListener("beforeprint", () =>
    document.querySelectorAll<HTMLDetailsElement>("main details:not(#configs details)").forEach((fold) => {
      fold.open = true;
    }),
  );
}
