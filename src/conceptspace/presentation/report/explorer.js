"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const LEFT = 112, TOP = 108, SIDE = 416, TILES_PER_ROW = 8;
  const CHART = { left: 44, top: 30, width: 424, height: 124 };
  const classes = new Map(data.classes.map((c) => [c.name, c]));
  const state = {
    run: 0, protocol: 0, setting: -1, step: 0, x: data.concepts.length > 1 ? 0 : -1,
    y: data.concepts.length > 1 ? 1 : 0, name: (data.classes.find((c) => c.ood) || data.classes[0]).name, hidden: new Set(),
  };
  const cache = new Map();
  let timer = 0;

  // What is selected.
  const protocol = () => data.runs[state.run].protocols[state.protocol];
  const kind = (name) => (classes.get(name).ood ? "ood" : "train");
  const shown = () => data.classes.filter((c) => !state.hidden.has(c.name)).map((c) => c.name);
  const settingAt = (name, i) => (state.setting < 0 ? protocol().best[name][i] : state.setting);
  const pointAt = (name, i) => protocol().points[name][settingAt(name, i)][i];
  const thousands = (n) => n.toLocaleString("en-US");
  const digits = (v) => (v === null || v === undefined ? "–" : v.toFixed(2));

  // Screen places, in the units of each SVG's view box.
  const elapsed = (i) => protocol().steps[i] / (protocol().steps.at(-1) || 1);
  const place = (name, i) => {
    const p = pointAt(name, i);
    if (!p || p[3][state.y] === null) return null;
    return [LEFT + SIDE * (state.x < 0 ? elapsed(i) : p[3][state.x]), TOP + SIDE * (1 - p[3][state.y])];
  };
  const heightOf = (name, i) => {
    const p = pointAt(name, i), { left, top, width, height } = CHART;
    return p && p[1] !== null ? [left + width * elapsed(i), top + height * (1 - p[1])] : null;
  };

  function add(parent, tag, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
  }

  function path(parent, places, css) {
    const found = places.filter(Boolean);
    const d = "M" + found.map((p) => p.map((v) => v.toFixed(1)).join(" ")).join("L");
    if (found.length > 1) add(parent, "path", { d, class: css });
  }

  function drawFrame(svg) {
    const middle = LEFT + SIDE / 2, end = LEFT + SIDE, bottom = TOP + SIDE;
    add(svg, "rect", { x: LEFT, y: TOP, width: SIDE, height: SIDE, class: "square" });
    add(svg, "path", { d: `M${middle} ${TOP}V${bottom}M${LEFT} ${TOP + SIDE / 2}H${end}`, class: "grid" });
    for (const v of [0, 0.5, 1]) {
      const label = state.x < 0 ? thousands(Math.round(v * protocol().steps.at(-1))) : v;
      add(svg, "text", { x: LEFT + SIDE * v, y: bottom + 20, "text-anchor": "middle" }, label);
      add(svg, "text", { x: LEFT - 8, y: bottom - SIDE * v + 5, "text-anchor": "end" }, v);
    }
    const axis = (c) => `${c.name}: ${c.labels[0]} → ${c.labels[1]}`;
    const xName = state.x < 0 ? "step" : axis(data.concepts[state.x]);
    const y = TOP + SIDE / 2, turn = `rotate(-90 ${LEFT - 46} ${y})`;
    add(svg, "text", { x: middle, y: bottom + 48, "text-anchor": "middle", class: "axis-name" }, xName);
    add(svg, "text", { x: LEFT - 46, y, "text-anchor": "middle", class: "axis-name", transform: turn },
      axis(data.concepts[state.y]));
    drawCorners(svg);
  }

  function drawCorners(svg) {
    const size = 84, gap = 16, flat = state.x < 0;
    for (const bits of flat ? ["10", "11"] : ["00", "01", "10", "11"]) {
      const name = data.concepts.map((_, i) => (i === state.y ? bits[1] : i === state.x ? bits[0] : "0"));
      const c = classes.get(name.join(""));
      if (!c) continue;
      const right = bits[0] === "1", top = bits[1] === "1", css = kind(c.name);
      const x = right ? LEFT + SIDE + gap : LEFT - gap - size;
      const y = top ? TOP - (flat ? 0 : gap + size) : TOP + SIDE + (flat ? -size : gap);
      if (c.image) {
        add(svg, "image", { x, y, width: size, height: size, href: c.image, preserveAspectRatio: "none" });
        add(svg, "rect", { x, y, width: size, height: size, class: "frame " + css });
      }
      const at = flat ? { x, y: top ? y + size + 20 : y - 8 }
        : { x: right ? x - 8 : x + size + 8, y: top ? y + 20 : y + size - 6, "text-anchor": right ? "end" : "start" };
      add(svg, "text", { ...at, class: "corner " + css }, data.concepts.length > 2 ? c.name : `${c.name} ${c.words}`);
    }
  }

  function drawClass(svg, name) {
    const css = kind(name), places = protocol().steps.map((_, i) => place(name, i));
    path(svg, places, css + " future");
    path(svg, places.slice(0, state.step + 1), css + " past");
    places.forEach((p, i) => {
      const later = i > state.step ? " later" : "";
      if (p) add(svg, "circle", { cx: p[0], cy: p[1], r: 3.6, class: css + " dot" + later });
    });
    const first = places.find(Boolean), now = places[state.step];
    if (first) add(svg, "circle", { cx: first[0], cy: first[1], r: 6, class: css + " start" });
    if (!now) return;
    add(svg, "circle", { cx: now[0], cy: now[1], r: 9, class: css + " now" });
    if (name === state.name) add(svg, "circle", { cx: now[0], cy: now[1], r: 13, class: "ring" });
  }

  function drawChart(svg) {
    const { left, top, width, height } = CHART, bottom = top + height, level = top + height * 0.2;
    const now = left + width * elapsed(state.step);
    svg.replaceChildren();
    add(svg, "rect", { x: left, y: top, width, height, class: "square" });
    add(svg, "path", { d: `M${left} ${level}H${left + width}`, class: "grid" });
    for (const v of [0, 0.8, 1]) {
      add(svg, "text", { x: left - 7, y: bottom - height * v + 5, "text-anchor": "end" }, v);
    }
    add(svg, "text", { x: left, y: top - 10 }, "joint accuracy");
    const end = `step ${thousands(protocol().steps.at(-1))}`;
    add(svg, "text", { x: left + width, y: bottom + 22, "text-anchor": "end" }, end);
    add(svg, "path", { d: `M${now} ${top}V${bottom}`, class: "cursor" });
    for (const name of shown().sort((a) => (a === state.name ? 1 : -1))) {
      const places = protocol().steps.map((_, i) => heightOf(name, i));
      path(svg, places, kind(name) + (name === state.name ? " past" : " other"));
      const p = places[state.step];
      if (p) add(svg, "circle", { cx: p[0], cy: p[1], r: 5, class: kind(name) + " dot" });
    }
  }

  function settingText(name) {
    const settings = protocol().settings, chosen = settings[settingAt(name, state.step)];
    if (settings.length < 2) return chosen ? `, setting ${chosen}` : "";
    return `, setting ${chosen} (${state.setting < 0 ? `best of ${settings.length} at this step` : "fixed"})`;
  }

  function describe() {
    const name = state.name, p = pointAt(name, state.step), now = protocol().steps[state.step];
    const where = kind(name) === "ood" ? "out of distribution" : "training class";
    $("class").value = name;
    $("class").parentElement.className = "pick " + kind(name);
    $("what").textContent = `Class ${name}, ${classes.get(name).words} (${where}), step ${thousands(now)}, ` +
      `${protocol().name}${settingText(name)}: ` +
      (p ? `joint accuracy ${digits(p[1])} over ${p[0]} images.` : "not measured here.");
    const rows = data.concepts.map((c, i) => [c.name, p && p[2][i], p && p[3][i]]);
    rows.push(["joint", p && p[1], null]);
    const body = $("numbers").tBodies[0];
    body.replaceChildren();
    for (const [label, ...values] of rows) {
      const tr = body.insertRow(), head = document.createElement("th");
      Object.assign(head, { scope: "row", textContent: label });
      tr.append(head);
      for (const value of values) tr.insertCell().textContent = digits(value);
    }
    drawTiles(name);
  }

  function picture(index) {
    if (!cache.has(index)) {
      cache.set(index, Object.assign(new Image(), { onload: () => drawTiles(state.name), src: data.images[index] }));
    }
    return cache.get(index);
  }

  function drawTiles(name) {
    const canvas = $("tiles"), sheet = protocol().sheets[state.step];
    const setting = protocol().settings[settingAt(name, state.step)];
    const row = sheet ? sheet.rows.findIndex((r) => r[0] === setting && r[1] === name) : -1;
    canvas.hidden = row < 0;
    const note = data.images_shown < data.images_generated
      ? `The first ${data.images_shown} of ${data.images_generated} generated images:` : "Generated images:";
    $("images-note").textContent = row < 0 ? "No images of this checkpoint and setting are embedded." : note;
    if (row < 0) return;
    const image = picture(sheet.image), tile = sheet.tile;
    const columns = Math.min(TILES_PER_ROW, sheet.columns), lines = Math.ceil(sheet.columns / columns);
    Object.assign(canvas, { width: columns * (tile + 1) - 1, height: lines * (tile + 1) - 1 });
    canvas.setAttribute("aria-label",
      `${sheet.columns} generated images of class ${name} at step ${protocol().steps[state.step]}`);
    if (!image.complete || !image.naturalWidth) return;
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    for (let i = 0; i < sheet.columns; i++) {
      context.drawImage(image, i * tile, row * tile, tile, tile,
        (i % columns) * (tile + 1), Math.floor(i / columns) * (tile + 1), tile, tile);
    }
    canvas.dataset.drawn = `${sheet.image}:${row}`;
  }

  function draw() {
    const svg = $("plot");
    svg.replaceChildren();
    drawFrame(svg);
    for (const name of shown()) if (name !== state.name) drawClass(svg, name);
    if (!state.hidden.has(state.name)) drawClass(svg, state.name);
    drawChart($("chart"));
    const now = `step ${thousands(protocol().steps[state.step])}`;
    Object.assign($("time"), { max: protocol().steps.length - 1, value: state.step });
    $("time").setAttribute("aria-valuetext", now);
    $("now").textContent = now;
    describe();
  }

  // Controls.
  function fill(id, entries, change) {
    $(id).replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
    $(id).onchange = () => { change($(id).value); draw(); };
  }

  function chooseRun(index) {
    const old = data.runs[state.run].protocols[state.protocol].name;
    state.run = Number(index);
    const protocols = data.runs[state.run].protocols;
    fill("protocol", protocols.map((p, i) => [i, p.name]), chooseProtocol);
    chooseProtocol(Math.max(0, protocols.findIndex((p) => p.name === old)));
  }

  function chooseProtocol(index) {
    const before = protocol().steps[state.step];
    state.protocol = Number(index);
    state.setting = -1;
    $("protocol").value = index;
    const { settings, steps } = protocol();
    fill("setting", [[-1, "best of each step"], ...settings.map((s, i) => [i, s || "none"])],
      (value) => { state.setting = Number(value); });
    $("setting-box").hidden = settings.length < 2;
    const gap = (i) => Math.abs(steps[i] - before);
    state.step = steps.reduce((best, _, i) => (gap(i) < gap(best) ? i : best), 0);
  }

  function play(on) {
    clearInterval(timer);
    timer = 0;
    $("play").textContent = on ? "❚❚ Pause" : "▶ Play";
    $("what").setAttribute("aria-live", on ? "off" : "polite");
    if (!on) return;
    const last = protocol().steps.length - 1;
    if (state.step >= last) state.step = 0;
    timer = setInterval(() => (state.step < last ? draw(state.step += 1) : play(false)), 300);
    draw();
  }

  function move(by) {
    play(false);
    state.step = Math.min(Math.max(state.step + by, 0), protocol().steps.length - 1);
    draw();
  }

  function nearest(event, reach) {
    const svg = event.currentTarget, box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    let best = null, least = reach * scale;
    for (const name of shown()) {
      protocol().steps.forEach((_, step) => {
        const p = (svg.id === "plot" ? place : heightOf)(name, step);
        const distance = p ? Math.hypot(p[0] - x, p[1] - y) : Infinity;
        if (distance < least) [least, best] = [distance, { name, step }];
      });
    }
    return best;
  }

  function select(found) {
    if (!found || (found.name === state.name && found.step === state.step)) return;
    draw(Object.assign(state, found));
  }

  for (const svg of [$("plot"), $("chart")]) {
    svg.addEventListener("pointermove", (event) => {
      if (!timer && event.pointerType !== "touch") select(nearest(event, 18));
    });
    svg.addEventListener("pointerdown", (event) => {
      play(false);
      select(nearest(event, 34));
    });
  }
  $("plot").addEventListener("keydown", (event) => {
    const names = shown(), at = names.indexOf(state.name), last = protocol().steps.length;
    const turn = (by) => { if (names.length) state.name = names[(at + by + names.length) % names.length]; draw(); };
    const act = { ArrowRight: () => move(1), ArrowLeft: () => move(-1), ArrowUp: () => turn(1),
      ArrowDown: () => turn(-1), Home: () => move(-last), End: () => move(last), " ": () => play(!timer) };
    if (act[event.key]) { event.preventDefault(); act[event.key](); }
  });
  $("play").onclick = () => play(!timer);
  $("time").oninput = () => { play(false); state.step = Number($("time").value); draw(); };

  fill("run", data.runs.map((r, i) => [i, `${r.name} (seed ${r.seed})`]), chooseRun);
  $("run-box").hidden = data.runs.length < 2;
  fill("class", data.classes.map((c) => [c.name, `${c.name} ${c.words}`]), (v) => { state.name = v; });
  for (const axis of ["x", "y"]) {
    fill(axis, data.concepts.map((c, i) => [i, c.name]), (v) => {
      const other = axis === "x" ? "y" : "x";
      if (Number(v) === state[other]) $(other).value = state[other] = state[axis];
      state[axis] = Number(v);
    });
    if (data.concepts.length > 1) $(axis).value = state[axis];
  }
  document.querySelectorAll(".axis").forEach((label) => { label.hidden = data.concepts.length < 3; });
  for (const c of data.classes) {
    const label = document.createElement("label"), box = document.createElement("input");
    Object.assign(label, { className: kind(c.name), title: c.words });
    Object.assign(box, { type: "checkbox", checked: true });
    box.onchange = () => draw(state.hidden[box.checked ? "delete" : "add"](c.name));
    label.append(box, c.name);
    $("classes").append(label);
  }
  chooseRun(0);
  state.step = protocol().steps.length - 1;
  draw();
})();
