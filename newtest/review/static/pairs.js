"use strict";
// Close pairs, one at a time; the next three are loaded while one looks.
(() => {
  const home = document.body.dataset.home, AHEAD = 3;
  const figures = [...document.querySelectorAll("#pair figure")], say = document.getElementById("say");
  const distances = document.getElementById("distances"), buttons = [...document.querySelectorAll("[data-do]")];
  let queue = [], left = 0, busy = false;
  const history = [], kept = new Map();

  const address = (side) => `${home}picture/${side.sha256}?large`;
  const images = (pair) => pair.sides.map((side) => ["image", side.image]);
  // Nobody judges what is not to be seen yet: the pictures of the pair before would stand beside the new names.
  const seen = () => figures.every((figure) => figure.querySelector("img").complete);
  const tell = (text, bad) => { say.textContent = text; say.classList.toggle("bad", Boolean(bad)); };

  function show() {
    const pair = queue[0];
    figures.forEach((figure, place) => {
      const image = figure.querySelector("img"), caption = figure.querySelector("figcaption");
      if (!pair) { image.removeAttribute("src"); caption.textContent = ""; return; }
      const side = pair.sides[place];
      if (image.getAttribute("src") !== address(side)) image.src = address(side);
      image.classList.toggle("coming", !image.complete);
      caption.textContent = side.image + (side.reference ? " (original set)" : "");
    });
    distances.textContent = pair ? Object.entries(pair.distances).map(([metric, value]) => `${metric} ${Number(value.toPrecision(4))}`).join(" · ") : "";
    for (const button of buttons) button.disabled = button.dataset.do === "undo" ? !history.length : !pair;
    for (const next of queue.slice(1, 1 + AHEAD)) for (const side of next.sides) {
      if (!kept.has(side.sha256)) { const image = new Image(); image.src = address(side); kept.set(side.sha256, image); }
    }
    for (const old of kept.keys()) if (kept.size > 40) kept.delete(old);
  }
  for (const figure of figures) for (const end of ["load", "error"]) {
    figure.querySelector("img").addEventListener(end, (event) => event.target.classList.remove("coming"));
  }

  async function answered(answer) {
    const found = await answer.json().catch(() => ({ error: `The server answers with ${answer.status}.` }));
    if (!answer.ok) throw new Error(found.error);
    return found;
  }
  const post = async (action, fields) =>
    answered(await fetch(home + "do/" + action, { method: "POST", body: new URLSearchParams(fields) }));

  async function refill() {
    const found = await answered(await fetch(home + "pairs.json"));
    left = found.left;
    queue = found.pairs;
  }

  // What the action says for itself; "" where the number of pairs left says enough.
  async function carryOut(action, pair) {
    if (action === "undo") {
      const last = history.at(-1), { kept: stays } = await post("undo", { undo: last.undo });
      history.pop();
      if (stays) return "Not undone: somebody has judged this pair since. ";
      queue.unshift(last.pair);
      left += last.counted;
      return "";
    }
    if (action === "skip") {
      await post("later", images(pair));
      queue.shift();
      return "";
    }
    const { undo, others } = await post(action, images(pair));
    const counted = others.length ? 0 : 1;  // what another has judged waits for nobody, whatever is answered now
    history.push({ undo, pair: queue.shift(), counted });
    left -= counted;
    return others.map((other) => `${other.reviewer} said ${other.duplicate ? "duplicate" : "different"} before you: both are kept, yours counts. `).join("");
  }

  async function act(action) {
    const pair = queue[0];
    if (busy || (action === "undo" ? !history.length : !pair)) return;
    if (action !== "undo" && action !== "skip" && !seen()) return tell("The pictures are still coming.");
    busy = true;
    try {
      const word = await carryOut(action, pair);
      if (!queue.length) await refill();
      tell(word + (queue.length ? `${left} left` : "No pair waits. Thank you!"), Boolean(word));
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
    if (!event.repeat) act(actions[event.key]);
  });
  refill().then(() => { tell(queue.length ? `${left} left` : "No pair waits."); show(); }, (error) => tell(error.message, true));
})();
