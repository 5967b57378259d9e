"use strict";
const D = JSON.parse(document.getElementById("numbers").textContent);
const byId = (id) => document.getElementById(id);
const NS = "http://www.w3.org/2000/svg";
const SHAPES = ["circle", "square", "up", "diamond", "down", "cross"];
const MOST = 200;
const M = D.models.model.length;
const box = { left: 64, right: 14, top: 12, bottom: 54, width: 720, height: 600 };
const state = { choice: D.choices[0], shift: null, here: -1, all: false };
const lines = new Map();
for (const line of D.lines) lines.set(line.choice + "\u0000" + line.y, line);

function make(tag, text, cls) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (cls) node.className = cls;
  return node;
}
function draw(tag, attributes, parent) {
  const node = document.createElementNS(NS, tag);
  for (const key of Object.keys(attributes)) node.setAttribute(key, attributes[key]);
  if (parent) parent.appendChild(node);
  return node;
}
function erf(x) {
  // Abramowitz and Stegun 7.1.26, to 1.5e-7: a pixel is a thousand times as much.
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const y = 1 - (((((1.061405429 * t - 1.453152027) * t) + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x);
  return x < 0 ? -y : y;
}
function back(z) {
  if (D.scale === "linear") return z;
  return D.scale === "logit" ? 100 / (1 + Math.exp(-z)) : 50 * (1 + erf(z / Math.SQRT2));
}
function forth(percent) {
  if (D.scale === "linear") return percent;
  const share = percent / 100;
  if (D.scale === "logit") return Math.log(share / (1 - share));
  let low = -9, high = 9;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (back(middle) < percent) low = middle; else high = middle;
  }
  return (low + high) / 2;
}
const minus = (text) => text.replace("-", "\u2212");
const two = (value) => value === null || value === undefined ? "\u2013" : minus(value.toFixed(2));
const signed = (value) => value === null ? "\u2013" : (value > 0 ? "+" : "") + two(value);
function chance(p) {
  if (p === null) return "\u2013";
  return p >= 1 ? "1" : p >= 0.001 ? p.toFixed(3) : minus(p.toExponential(0));
}
function label(at) {
  return D.models.config[at] ? D.models.model[at] + " \u00b7 " + D.models.config[at] : D.models.model[at];
}
const current = () => lines.get(state.choice + "\u0000" + state.shift);
const isOff = (line, at) => line.p[at] !== null && line.p[at] < D.alpha;

function values(field) {
  const counts = new Map();
  for (const value of D.models[field]) counts.set(value, (counts.get(value) || 0) + 1);
  return Array.from(counts.entries()).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}
function fill(select, options, first) {
  if (first) select.appendChild(new Option(first, "\u0000all"));
  for (const [value, text] of options) select.appendChild(new Option(text, value));
}
function fillShifts() {
  const select = byId("shift");
  select.textContent = "";
  for (const kind of ["natural", "synthetic"]) {
    const group = document.createElement("optgroup");
    group.label = kind === "natural" ? "Natural" : "Synthetic";
    for (const line of D.lines) {
      if (line.choice !== state.choice || D.kinds[line.y] !== kind) continue;
      group.appendChild(new Option(line.refused ? line.y + " (no line)" : line.y, line.y));
    }
    if (group.children.length) select.appendChild(group);
  }
  if (state.shift && current()) select.value = state.shift;
  state.shift = select.value;
}
function pattern(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return words.map((word) => new RegExp(word.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*")));
}
function shownRows(line) {
  const words = pattern(byId("search").value), only = byId("only").checked;
  const wanted = ["group", "data", "config"].map((field) => [field, byId(field).value]);
  const rows = [];
  for (let at = 0; at < M; at++) {
    if (line.rho[at] === null) continue;
    if (only && !isOff(line, at)) continue;
    if (wanted.some(([field, value]) => value !== "\u0000all" && D.models[field][at] !== value)) continue;
    const text = label(at).toLowerCase();
    if (words.every((word) => word.test(text))) rows.push(at);
  }
  return rows;
}
function looks() {
  const field = byId("colour").value, found = new Map();
  values(field).forEach(([value, count], at) => {
    const rest = at >= 12;
    found.set(value, { colour: rest ? 6 : at % 7, shape: rest ? 0 : Math.floor(at / 7) * 3 % 6 + (at % 3), count: count, rest: rest });
  });
  return [field, found];
}
function shape(kind, x, y, r) {
  if (kind === "square") return `M${x - r * .9} ${y - r * .9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`;
  if (kind === "up") return `M${x} ${y - 1.2 * r}L${x + 1.1 * r} ${y + .8 * r}H${x - 1.1 * r}z`;
  if (kind === "down") return `M${x} ${y + 1.2 * r}L${x + 1.1 * r} ${y - .8 * r}H${x - 1.1 * r}z`;
  if (kind === "diamond") return `M${x} ${y - 1.3 * r}L${x + 1.3 * r} ${y}L${x} ${y + 1.3 * r}L${x - 1.3 * r} ${y}z`;
  if (kind === "cross") return `M${x - r} ${y - .4 * r}h${.6 * r}v${-.6 * r}h${.8 * r}v${.6 * r}h${.6 * r}v${.8 * r}h${-.6 * r}v${.6 * r}h${-.8 * r}v${-.6 * r}h${-.6 * r}z`;
  return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
}
function ticks(low, high) {
  const round = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99];
  const fine = [];
  for (let value = 1; value < 100; value++) fine.push(value);
  const inside = (list) => list.filter((value) => forth(value) >= low && forth(value) <= high);
  let marks = inside(round);
  if (marks.length < 4) marks = inside(fine);
  const kept = [];
  for (const mark of marks) {
    if (!kept.length || forth(mark) - forth(kept[kept.length - 1]) >= (high - low) / 11) kept.push(mark);
  }
  return kept;
}
let points = [];
function plot(line, rows) {
  const svg = byId("svg");
  svg.textContent = "";
  points = [];
  const single = line.axes.length === 1;
  const xs = (at) => single ? D.accuracy[line.axes[0]][at] : D.accuracy[line.y][at] - line.rho[at];
  const ys = (at) => D.accuracy[line.y][at];
  const placed = [];
  for (let at = 0; at < M; at++) if (line.rho[at] !== null) placed.push(at);
  if (!placed.length) return;
  const zx = placed.map((at) => forth(xs(at))), zy = placed.map((at) => forth(ys(at)));
  const ends = (list) => {
    let low = Infinity, high = -Infinity;
    for (const value of list) if (isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
    const margin = 0.05 * (high - low) || 1;
    return [low - margin, high + margin];
  };
  const [x0, x1] = ends(zx), [y0, y1] = ends(zy);
  const px = (z) => box.left + (z - x0) / (x1 - x0) * (box.width - box.left - box.right);
  const py = (z) => box.height - box.bottom - (z - y0) / (y1 - y0) * (box.height - box.top - box.bottom);
  for (const mark of ticks(x0, x1)) {
    const x = px(forth(mark));
    draw("line", { x1: x, x2: x, y1: box.top, y2: box.height - box.bottom, class: "grid" }, svg);
    draw("text", { x: x, y: box.height - box.bottom + 18, "text-anchor": "middle" }, svg).textContent = mark;
  }
  for (const mark of ticks(y0, y1)) {
    const y = py(forth(mark));
    draw("line", { x1: box.left, x2: box.width - box.right, y1: y, y2: y, class: "grid" }, svg);
    draw("text", { x: box.left - 8, y: y + 4, "text-anchor": "end" }, svg).textContent = mark;
  }
  draw("rect", { x: box.left, y: box.top, width: box.width - box.left - box.right, height: box.height - box.top - box.bottom, class: "frame" }, svg);
  const cut = draw("clipPath", { id: "inside" }, draw("defs", {}, svg));
  draw("rect", { x: box.left, y: box.top, width: box.width - box.left - box.right, height: box.height - box.top - box.bottom }, cut);
  const curves = draw("g", { "clip-path": "url(#inside)" }, svg);
  const path = (f) => {
    let d = "";
    for (let step = 0; step <= 120; step++) {
      const z = x0 + (x1 - x0) * step / 120;
      d += (step ? "L" : "M") + px(z).toFixed(1) + " " + py(f(z)).toFixed(1);
    }
    return d;
  };
  if (single) draw("path", { d: path((z) => z), class: "same" }, curves);
  if (!line.refused) draw("path", { d: path((z) => single ? line.intercept + line.slopes[0] * z : z), class: "fit" }, curves);
  const [field, look] = looks(), visible = new Set(rows), r = placed.length > 400 ? 3.4 : 4.6;
  const order = placed.map((at, i) => i).sort((a, b) => visible.has(placed[a]) - visible.has(placed[b]) || isOff(line, placed[a]) - isOff(line, placed[b]));
  for (const i of order) {
    const at = placed[i], x = px(zx[i]), y = py(zy[i]), style = look.get(D.models[field][at]);
    const cls = "point" + (isOff(line, at) ? " off" : "") + (visible.has(at) ? "" : " dim");
    draw("path", { d: shape(SHAPES[style.shape % 6], x, y, r), class: cls, fill: `var(--c${style.colour})` }, svg);
    if (visible.has(at)) points.push({ at: at, x: x, y: y });
  }
  const xText = single ? "accuracy on " + line.axes[0] : "the line's accuracy, from " + line.axes.join(" and ");
  const unit = D.scale === "linear" ? ", %" : ", % (" + D.scale + " scale)";
  draw("text", { x: (box.left + box.width - box.right) / 2, y: box.height - 10, "text-anchor": "middle", class: "axis" }, svg).textContent = xText + unit;
  const middle = (box.top + box.height - box.bottom) / 2;
  draw("text", { x: 16, y: middle, "text-anchor": "middle", class: "axis", transform: `rotate(-90 16 ${middle})` }, svg).textContent = "accuracy on " + line.y + ", %";
  draw("circle", { r: r + 5, class: "ring", id: "ring", visibility: "hidden" }, svg);
}
function legend() {
  const holder = byId("legend"), [field, look] = looks();
  holder.textContent = "";
  let rest = 0;
  for (const [value, style] of look) {
    if (style.rest) { rest += style.count; continue; }
    const item = make("span"), svg = draw("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" });
    draw("path", { d: shape(SHAPES[style.shape % 6], 7, 7, 5), fill: `var(--c${style.colour})` }, svg);
    item.appendChild(svg);
    item.appendChild(make("span", (value || "not said") + " (" + style.count + ")"));
    holder.appendChild(item);
  }
  if (rest) holder.appendChild(make("span", rest + " others in grey"));
  holder.appendChild(make("span", "dark edge: off the line by more than chance"));
  holder.appendChild(make("span", "dashed: equal accuracies"));
}
function facts(line, at) {
  const rho = line.rho[at], half = line.half[at];
  const found = [["configuration", D.models.config[at] || "\u2013"], ["group", D.models.group[at] || "\u2013"], ["training data", D.models.data[at] || "not said"]];
  for (const axis of line.axes) found.push([axis, two(D.accuracy[axis][at]) + " %"]);
  found.push([line.y, two(D.accuracy[line.y][at]) + " %"], ["the line", two(D.accuracy[line.y][at] - rho) + " %"]);
  found.push(["rho, points", signed(rho) + " [" + signed(rho - half) + ", " + signed(rho + half) + "]" + (line.counted[at] ? "" : "*")]);
  found.push(["p, Holm", chance(line.p[at])], ["off the line", isOff(line, at) ? "yes" : "not more than chance"]);
  found.push(["in the fit", line.fitted[at] ? "yes" : "no"]);
  if (line.outside[at]) found.push(["beyond", "the line is extrapolated"]);
  return found;
}
function detail(line) {
  const side = byId("side");
  side.textContent = "";
  if (state.here < 0 || line.rho[state.here] === null) {
    side.appendChild(make("p", "Point at a model, or choose one in the table, to see it here.", "soft"));
    return;
  }
  side.appendChild(make("h3", D.models.model[state.here]));
  const list = make("dl");
  for (const [name, value] of facts(line, state.here)) { list.appendChild(make("dt", name)); list.appendChild(make("dd", value)); }
  side.appendChild(list);
  const off = D.lines.filter((other) => other.choice === state.choice && !other.refused && isOff(other, state.here));
  if (off.length) {
    side.appendChild(make("p", "Off the line on " + off.length + " shifts:", "soft"));
    side.appendChild(make("p", off.slice(0, 12).map((other) => other.y + " " + signed(other.rho[state.here])).join(", ") + (off.length > 12 ? " and " + (off.length - 12) + " more" : "")));
  }
}
function ring() {
  const mark = byId("ring"), point = points.find((one) => one.at === state.here);
  if (!mark) return;
  mark.setAttribute("visibility", point ? "visible" : "hidden");
  if (point) { mark.setAttribute("cx", point.x); mark.setAttribute("cy", point.y); }
}
function table(line, rows) {
  const head = byId("models").tHead, body = byId("models").tBodies[0];
  head.textContent = ""; body.textContent = "";
  const texts = [["configuration", "config"], ["group", "group"], ["training data", "data"]]
    .filter(([, field]) => rows.some((at) => D.models[field][at]));
  const row = head.insertRow();
  for (const title of ["model", ...texts.map(([title]) => title)]) row.appendChild(make("th", title, "text"));
  for (const title of [...line.axes, line.y, "the line", "rho", "95 %", "p, Holm", "off", "reach"]) row.appendChild(make("th", title));
  const order = rows.slice().sort((a, b) => Math.abs(line.t[b]) - Math.abs(line.t[a]) || a - b);
  const most = state.all ? order.length : MOST;
  for (const at of order.slice(0, most)) {
    const tr = body.insertRow();
    tr.dataset.at = at;
    tr.className = (isOff(line, at) ? "off" : "") + (at === state.here ? " here" : "");
    const button = make("button", D.models.model[at], "model");
    button.type = "button";
    const first = tr.insertCell();
    first.className = "text";
    first.appendChild(button);
    for (const [, field] of texts) tr.appendChild(make("td", D.models[field][at], "text"));
    for (const axis of line.axes) tr.appendChild(make("td", two(D.accuracy[axis][at])));
    const rho = line.rho[at], half = line.half[at];
    tr.appendChild(make("td", two(D.accuracy[line.y][at])));
    tr.appendChild(make("td", two(D.accuracy[line.y][at] - rho)));
    tr.appendChild(make("td", signed(rho), "rho"));
    tr.appendChild(make("td", "[" + signed(rho - half) + ", " + signed(rho + half) + "]" + (line.counted[at] ? "" : "*")));
    tr.appendChild(make("td", chance(line.p[at])));
    tr.appendChild(make("td", isOff(line, at) ? "yes" : "no"));
    tr.appendChild(make("td", line.outside[at] ? "beyond" : ""));
  }
  byId("more").hidden = order.length <= most;
  byId("more").textContent = "Show all " + order.length;
}
function verdict(line, rows) {
  const said = byId("verdict");
  said.className = "verdict" + (line.refused || line.curve >= 0.1 ? " warn" : "");
  if (line.refused) { said.textContent = "No line for " + line.y + ": " + line.refused + "."; return; }
  let above = 0, below = 0, all = 0;
  for (let at = 0; at < M; at++) {
    if (line.rho[at] === null) continue;
    all++;
    if (isOff(line, at)) { if (line.rho[at] > 0) above++; else below++; }
  }
  const slope = line.axes.map((axis, at) => (line.axes.length > 1 ? axis + " " : "") + two(line.slopes[at])).join(", ");
  said.textContent = `${line.y} on ${line.axes.join(" and ")}: slope ${slope}, R\u00b2 ${line.r2.toFixed(3)}, fitted on ${line.n} of ${all} models. ` +
    (above + below ? `${above} above and ${below} below the line by more than chance.` : "No model is off the line by more than chance.") +
    (line.curve >= 0.1 ? ` The cloud bends: a curve would explain ${Math.round(100 * line.curve)} % of the scatter, so models at its ends may be off a straight line and not off the others.` : "") +
    (rows.length < all ? ` ${rows.length} match the filters.` : "");
}
function show() {
  const line = current();
  if (!line) return;
  const rows = shownRows(line);
  plot(line, rows); verdict(line, rows); legend(); table(line, rows); detail(line); ring();
}
function choose(at) {
  state.here = at;
  for (const row of byId("models").tBodies[0].rows) row.classList.toggle("here", Number(row.dataset.at) === at);
  detail(current()); ring();
}
function nearest(event) {
  const rect = byId("svg").getBoundingClientRect();
  const x = (event.clientX - rect.left) / rect.width * box.width, y = (event.clientY - rect.top) / rect.height * box.height;
  let best = null, least = 24 * 24;
  for (const point of points) {
    const away = (point.x - x) ** 2 + (point.y - y) ** 2;
    if (away < least) { least = away; best = point; }
  }
  return best;
}
function hover(event) {
  const tip = byId("tip"), point = nearest(event), line = current();
  tip.hidden = !point;
  if (!point) return;
  tip.textContent = "";
  tip.appendChild(make("strong", label(point.at)));
  tip.appendChild(make("div", line.axes.map((axis) => two(D.accuracy[axis][point.at])).join(", ") + " \u2192 " + two(D.accuracy[line.y][point.at]) + " %, rho " + signed(line.rho[point.at])));
  tip.appendChild(make("div", isOff(line, point.at) ? "off the line by more than chance" : "not off the line by more than chance"));
  const rect = byId("svg").getBoundingClientRect();
  const left = point.x / box.width * rect.width, top = point.y / box.height * rect.height;
  tip.style.left = Math.max(0, Math.min(left + 14, rect.width - tip.offsetWidth - 4)) + "px";
  tip.style.top = (top + 16 + tip.offsetHeight > rect.height ? top - tip.offsetHeight - 12 : top + 16) + "px";
}
fill(byId("choice"), D.choices.map((name) => [name, name]));
for (const field of ["group", "data", "config"]) fill(byId(field), values(field).map(([value, count]) => [value, (value || "not said") + " (" + count + ")"]), "all");
if (values("group").length < 2) byId("colour").value = values("data").length > 1 ? "data" : "config";
fillShifts();
for (const id of ["group", "data", "config", "colour", "only"]) byId(id).addEventListener("change", show);
byId("search").addEventListener("input", show);
byId("shift").addEventListener("change", (event) => { state.shift = event.target.value; show(); });
byId("choice").addEventListener("change", (event) => { state.choice = event.target.value; fillShifts(); show(); });
byId("more").addEventListener("click", () => { state.all = true; show(); });
byId("plot").addEventListener("pointermove", hover);
byId("plot").addEventListener("pointerleave", () => { byId("tip").hidden = true; });
byId("plot").addEventListener("click", (event) => { const point = nearest(event); if (point) choose(point.at); hover(event); });
byId("models").addEventListener("click", (event) => { const row = event.target.closest("tr[data-at]"); if (!row) return; choose(Number(row.dataset.at)); byId("verdict").scrollIntoView({ block: "start" }); });
const table0 = byId("overview");
for (const row of table0.tBodies[0].rows) {
  const name = row.cells[0].textContent, button = make("button", name, "model");
  button.type = "button";
  button.addEventListener("click", () => { state.shift = name; byId("shift").value = name; show(); window.scrollTo(0, 0); });
  row.cells[0].textContent = "";
  row.cells[0].appendChild(button);
}
show();
