"use strict";
// Close pairs, one at a time; the next three are loaded while one looks.
(() => {
  const home = document.body.dataset.home, AHEAD = 3;
  const figures = [...document.querySelectorAll("#pair figure")], say = document.getElementById("say");
  const distances = document.getElementById("distances"), buttons = [...document.querySelectorAll("[data-do]")];
  let queue = [], left = 0, busy = false;
  const history = [], later = new Set(), kept = new Map();

  const address = (side) => `${home}picture/${side.sha256}?large`;
  const name = (pair) => pair.sides.map((side) => side.image).join(" ");
  const tell = (text, bad) => { say.textContent = text; say.classList.toggle("bad", Boolean(bad)); };

  function show() {
    const pair = queue[0];
    figures.forEach((figure, place) => {
      const image = figure.querySelector("img"), caption = figure.querySelector("figcaption");
      if (!pair) { image.removeAttribute("src"); caption.textContent = ""; return; }
      const side = pair.sides[place];
      image.src = address(side);
      caption.textContent = side.image + (side.reference ? " (original set)" : "");
    });
    distances.textContent = pair ? Object.entries(pair.distances).map(([metric, value]) => `${metric} ${value}`).join(" · ") : "";
    for (const button of buttons) button.disabled = button.dataset.do === "undo" ? !history.length : !pair;
    for (const next of queue.slice(1, 1 + AHEAD)) for (const side of next.sides) {
      if (!kept.has(side.sha256)) { const image = new Image(); image.src = address(side); kept.set(side.sha256, image); }
    }
    if (kept.size > 40) kept.clear();
  }

  async function refill() {
    const answer = await fetch(home + "pairs.json");
    if (!answer.ok) throw new Error("The server does not let you in any more.");
    const found = await answer.json();
    left = found.left;
    queue = found.pairs.filter((pair) => !later.has(name(pair)));
    if (!queue.length && later.size && found.pairs.length) { later.clear(); queue = found.pairs; }
  }

  async function post(action, fields) {
    const answer = await fetch(home + "do/" + action, { method: "POST", body: new URLSearchParams(fields) });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  }

  async function act(action) {
    const pair = queue[0];
    if (busy || (action === "undo" ? !history.length : !pair)) return;
    busy = true;
    try {
      if (action === "undo") {
        const last = history.at(-1);
        await post("undo", { undo: last.undo });
        history.pop();
        queue.unshift(last.pair);
        left += 1;
      } else if (action === "skip") {
        later.add(name(queue.shift()));
      } else {
        const { undo } = await post(action, pair.sides.map((side) => ["image", side.image]));
        history.push({ undo, pair: queue.shift() });
        left -= 1;
      }
      if (!queue.length) await refill();
      tell(queue.length ? `${left} left` : "No pair waits. Thank you!");
    } catch (error) {
      tell(error.message || "The server does not answer.", true);
    }
    show();
    busy = false;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) act(button.dataset.do);
  });
  document.addEventListener("keydown", (event) => {
    const actions = { d: "duplicate", f: "different", s: "skip", u: "undo" };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    act(actions[event.key]);
  });
  refill().then(() => { tell(queue.length ? `${left} left` : "No pair waits."); show(); }, (error) => tell(error.message, true));
})();
