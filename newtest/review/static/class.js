"use strict";
// One class: choose tiles, act on them. The server answers each action with a sealed record that undoes it.
(() => {
  const { home, wnid } = document.body.dataset;
  const tiles = [...document.querySelectorAll(".tile")];
  const say = document.getElementById("say"), reason = document.getElementById("reason");
  const undoButton = document.querySelector("[data-do=undo]");
  const history = [], AT_ONCE = 4;
  let busy = false;

  const chosen = () => tiles.filter((tile) => tile.getAttribute("aria-selected") === "true");
  const toggle = (tile) => tile.setAttribute("aria-selected", tile.getAttribute("aria-selected") !== "true");
  const tell = (text, bad) => { say.textContent = text; say.classList.toggle("bad", Boolean(bad)); };

  function show(tile, blocked, why) {
    tile.classList.toggle("blocked", blocked);
    tile.querySelector(".mark").textContent = blocked ? "blocked: " + why : "";
  }

  async function post(action, fields) {
    const answer = await fetch(home + "do/" + action, { method: "POST", body: new URLSearchParams(fields) });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  }

  async function act(action) {
    if (busy || (action === "undo" && !history.length)) return;
    const picked = chosen();
    const targets = action === "done" ? tiles.filter((tile) => !tile.classList.contains("original")) : picked;
    if (action !== "undo" && !targets.length) return tell("Choose images first.", true);
    busy = true;
    try {
      if (action === "undo") {
        const { before } = await post("undo", { undo: history.at(-1) });
        history.pop();
        for (const state of before) {
          const tile = tiles.find((one) => one.dataset.id === state.image_id);
          if (tile) show(tile, state.blocked, state.reason);
          for (const id of [state.image_a, state.image_b]) {
            const of = tiles.find((one) => one.dataset.id === id);
            if (of) of.querySelector(".mark").textContent = "";
          }
        }
        tell("Undone.");
      } else {
        const fields = [["wnid", wnid], ["reason", reason.value], ...targets.map((tile) => ["image", tile.dataset.id])];
        const { undo } = await post(action, fields);
        if (undo) history.push(undo);
        for (const tile of targets) {
          if (action === "block" || action === "unblock") show(tile, action === "block", reason.value);
          if (action === "duplicate") tile.querySelector(".mark").textContent = "marked as the same photo";
          tile.setAttribute("aria-selected", "false");
        }
        tell({ block: "Blocked ", unblock: "Let in ", duplicate: "Marked as one photo: ", done: "Looked over: " }[action] + targets.length);
      }
    } catch (error) {
      tell(error.message || "The server does not answer.", true);
    }
    undoButton.disabled = !history.length;
    busy = false;
  }

  function move(step) {
    const at = tiles.indexOf(document.activeElement);
    const next = tiles[Math.max(0, Math.min(tiles.length - 1, at + step))];
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "nearest" }); }
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
    if (tile) toggle(tile);
    if (button) act(button.dataset.do);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
    const actions = { b: "block", n: "unblock", d: "duplicate", u: "undo" };
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() };
    if (event.key in actions) act(actions[event.key]);
    else if (event.key in steps) move(steps[event.key]);
    else if (event.key === " " && document.activeElement.classList.contains("tile")) toggle(document.activeElement);
    else return;
    event.preventDefault();
  });
})();
