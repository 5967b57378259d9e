"use strict";
// One item at a time; votes stay in this browser until they are saved as a CSV.
(() => {
  const audit = document.body.dataset.audit, items = [...document.querySelectorAll("section")], AHEAD = 3;
  const say = document.getElementById("say"), where = document.getElementById("where");
  const reviewer = document.getElementById("reviewer"), words = ["yes", "no", "unsure"];
  let votes = {}, at = 0, keeps = true, saved = true;

  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(audit) || "{}");
      reviewer.value = typeof kept.reviewer === "string" ? kept.reviewer : "";
      for (const item of items) {
        const vote = (kept.votes || {})[item.dataset.item];
        if (words.includes(vote)) votes[item.dataset.item] = vote;
      }
    } catch { keeps = false; }
  }
  function keep() {
    saved = false;
    try { localStorage.setItem(audit, JSON.stringify({ votes, reviewer: reviewer.value })); } catch { keeps = false; }
    say.textContent = keeps ? "" : "This browser keeps no votes: save them before you close the page.";
  }
  function show(number) {
    at = Math.max(0, Math.min(items.length - 1, number));
    items.forEach((item, place) => item.classList.toggle("here", place === at));
    for (const next of items.slice(at + 1, at + 1 + AHEAD)) {
      const picture = next.querySelector("img");
      if (picture) picture.loading = "eager";
    }
    const vote = votes[items[at].dataset.item], done = Object.keys(votes).length;
    for (const button of document.querySelectorAll("[data-vote]")) {
      button.setAttribute("aria-pressed", String(button.dataset.vote === vote));
    }
    where.textContent = `Item ${at + 1} of ${items.length}; ${done} of ${items.length} have your vote`;
  }
  function judge(vote) {
    votes[items[at].dataset.item] = vote;
    keep();
    show(at + 1);
    if (Object.keys(votes).length === items.length) say.textContent = "All items have your vote. Save them as CSV.";
  }
  function table() {
    const name = reviewer.value.replace(/[^\p{L}\p{N} ._-]/gu, "").replace(/^[ .-]+/, "").trim();
    const rows = items.filter((item) => votes[item.dataset.item])
      .map((item) => [audit, item.dataset.item, votes[item.dataset.item], item.dataset.uid, name].join(","));
    return ["audit,item,vote,uid,reviewer", ...rows].join("\r\n") + "\r\n";
  }
  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
    link.download = `${audit}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    saved = true;
  }
  function clear() {
    if (!confirm("Remove all votes of this audit from this browser?")) return;
    votes = {};
    reviewer.value = "";
    keep();
    show(0);
  }
  const keys = { y: "yes", n: "no", u: "unsure", 1: "yes", 2: "no", 3: "unsure" };
  document.addEventListener("keydown", (event) => {
    if (event.target === reviewer || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const key = event.key.toLowerCase();
    if (keys[key]) judge(keys[key]);
    else if (key === "arrowright") show(at + 1);
    else if (key === "arrowleft" || key === "backspace") show(at - 1);
    else return;
    event.preventDefault();
  });
  for (const button of document.querySelectorAll("[data-vote]")) button.addEventListener("click", () => judge(button.dataset.vote));
  for (const button of document.querySelectorAll("[data-move]")) button.addEventListener("click", () => show(at + Number(button.dataset.move)));
  document.getElementById("save").addEventListener("click", save);
  document.getElementById("clear").addEventListener("click", clear);
  reviewer.addEventListener("input", keep);
  addEventListener("beforeunload", (event) => { if (!keeps && !saved) event.preventDefault(); });
  recall();
  document.querySelector("nav").hidden = false;
  document.body.classList.add("one");
  const open = items.findIndex((item) => !votes[item.dataset.item]);
  show(open < 0 ? items.length - 1 : open);
})();
