"use strict";
// One class: choose tiles, act on them. The server answers each action with a sealed record that undoes it.
(() => {
  const { home, wnid } = document.body.dataset;
  const tiles = [...document.querySelectorAll(".tile")];
  const say = document.getElementById("say"), reason = document.getElementById("reason");
  const undoButton = document.querySelector("[data-do=undo]");
  const history = [], AT_ONCE = 4;
  let busy = false, from = tiles[0];

  const isChosen = (tile) => tile.getAttribute("aria-selected") === "true";
  const choose = (tile, on) => tile.setAttribute("aria-selected", String(on));
  const toggle = (tile) => { choose(tile, !isChosen(tile)); from = tile; };
  const tell = (text, bad) => { say.textContent = text; say.classList.toggle("bad", Boolean(bad)); };
  const byId = (id) => tiles.find((one) => one.dataset.id === id);
  const mark = (tile, text) => { const place = tile.querySelector(".mark"); place.textContent = place.title = text; };

  function show(tile, blocked, why) {
    tile.classList.toggle("blocked", blocked);
    mark(tile, blocked ? "blocked: " + why : "");
  }

  function chooseTo(tile) {
    const [first, last] = [tiles.indexOf(from), tiles.indexOf(tile)].sort((a, b) => a - b);
    for (const one of tiles.slice(first, last + 1)) choose(one, true);
  }

  async function post(action, fields) {
    const answer = await fetch(home + "do/" + action, { method: "POST", body: new URLSearchParams(fields) });
    const found = await answer.json().catch(() => ({ error: `The server answers with ${answer.status}.` }));
    if (!answer.ok) throw new Error(found.error);
    return found;
  }

  async function undo() {
    const { before, kept } = await post("undo", { undo: history.at(-1) });
    history.pop();
    for (const state of before) {
      if (state.image_id) { const tile = byId(state.image_id); if (tile) show(tile, state.blocked, state.reason); }
      else for (const id of [state.image_a, state.image_b]) { const tile = byId(id); if (tile) mark(tile, ""); }
    }
    tell(kept ? `Undone but for ${kept}: somebody has said otherwise since.` : "Undone.", kept);
  }

  async function act(action) {
    if (busy || (action === "undo" && !history.length)) return;
    const targets = tiles.filter(isChosen);
    if (!["undo", "done"].includes(action) && !targets.length) return tell("Choose images first.", true);
    busy = true;
    try {
      if (action === "undo") await undo();
      else if (action === "done") tell(`Looked over: ${(await post("done", { wnid })).members}`);
      else {
        const fields = [["wnid", wnid], ["reason", reason.value], ...targets.map((tile) => ["image", tile.dataset.id])];
        history.push((await post(action, fields)).undo);
        for (const tile of targets) {
          if (action === "duplicate") mark(tile, "marked as the same photo");
          else show(tile, action === "block", reason.value);
          choose(tile, false);
        }
        tell({ block: "Blocked ", unblock: "Let in ", duplicate: "Marked as one photo: " }[action] + targets.length);
      }
    } catch (error) {
      tell(error.message || "The server does not answer.", true);
    }
    undoButton.disabled = !history.length;
    busy = false;
  }

  // One tile at a time can be reached by Tab; arrows go on from it.
  let here = tiles[0];
  function stand(tile) { here.tabIndex = -1; tile.tabIndex = 0; here = tile; }
  if (here) stand(here);
  function move(place) {
    const next = tiles[Math.max(0, Math.min(tiles.length - 1, place))];
    if (next) { stand(next); next.focus({ preventScroll: true }); next.scrollIntoView({ block: "nearest" }); }
  }
  const columns = () => getComputedStyle(document.getElementById("candidates")).gridTemplateColumns.split(" ").length;

  // Pictures near the window come by themselves (loading=lazy); the others follow while nothing else is to do, a few at
  // a time and from the top, so that none is fetched in the midst of scrolling.
  const waiting = tiles.map((tile) => tile.querySelector("img")).filter((picture) => !picture.complete);
  const idle = window.requestIdleCallback || ((work) => setTimeout(work, 50));
  function fetchNext() {
    const picture = waiting.shift();
    if (!picture) return;
    if (picture.complete) return idle(fetchNext);
    for (const end of ["load", "error"]) picture.addEventListener(end, () => idle(fetchNext), { once: true });
    picture.loading = "eager";
  }
  window.addEventListener("load", () => { for (let i = 0; i < AT_ONCE; i++) idle(fetchNext); });

  document.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile"), button = event.target.closest("[data-do]");
    if (tile) { stand(tile); if (event.shiftKey) chooseTo(tile); else toggle(tile); }
    if (button) act(button.dataset.do);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
    const onTile = document.activeElement.classList.contains("tile"), at = onTile ? tiles.indexOf(document.activeElement) : -1;
    const actions = { b: "block", n: "unblock", d: "duplicate", u: "undo" };
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() };
    if (event.key in actions) { if (!event.repeat) act(actions[event.key]); }
    else if (event.key === "l" && document.querySelector("[data-do=done]")) { if (!event.repeat) act("done"); }
    else if (event.key === "c" && document.getElementById("following")) { if (!busy) document.getElementById("following").click(); }
    else if (event.key in steps) move(at < 0 ? tiles.indexOf(here) : at + steps[event.key]);
    else if (event.key === "Home" && onTile) move(0);
    else if (event.key === "End" && onTile) move(tiles.length - 1);
    else if (event.key === "Escape") tiles.forEach((tile) => choose(tile, false));
    else if (event.key === " " && onTile) { if (event.shiftKey) chooseTo(here); else toggle(here); }
    else return;
    event.preventDefault();
  });
})();
