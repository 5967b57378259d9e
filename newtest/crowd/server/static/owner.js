"use strict";
// The figures of the owner's page, asked for every two seconds while the page is looked at.
(function () {
  const at = document.getElementById("owner").dataset.at;
  const put = (id, text) => { document.getElementById(id).textContent = text; };
  const percent = (value) => (value === null ? "" : Math.round(100 * value) + " %");
  let listed = ""; // a table that is exchanged under a finger that is on a link would lose the click
  function row(worker) {
    const tr = document.createElement("tr");
    const cells = [
      "", worker.done, worker.seconds === null ? "" : Math.round(worker.seconds), worker.controls,
      percent(worker.sensitivity), percent(worker.specificity), worker.checks[1] ? worker.checks.join(" of ") : "", worker.flagged ? "poor" : worker.revoked ? "revoked" : "",
    ];
    const labels = ["", "HITs", "Seconds per HIT", "Controls", "Sensitivity", "Specificity", "Checks passed", ""];
    cells.forEach((value, n) => { const td = document.createElement("td"); td.textContent = value; if (labels[n]) td.dataset.label = labels[n]; tr.append(td); });
    const link = document.createElement("a");
    link.textContent = worker.name;
    if (worker.begun) link.href = at + "/worker/" + worker.key;
    tr.firstChild.append(link);
    if (worker.flagged) tr.lastChild.className = "flag";
    return tr;
  }
  function duration(hours) {
    if (!Number.isFinite(hours)) return "\u2013";
    return hours < 1 ? Math.ceil(60 * hours) + " min" : hours < 48 ? hours.toFixed(1) + " h" : (hours / 24).toFixed(1) + " d";
  }
  function show(figures) {
    const done = figures.submitted + figures.approved + figures.rejected;
    put("done", done);
    put("wanted", figures.wanted);
    put("leased", figures.leased);
    put("open", figures.open);
    put("hits", figures.hits);
    put("last_hour", figures.last_hour);
    put("left", done >= figures.wanted ? "done" : duration((figures.wanted - done) / figures.last_hour));
    const left = figures.connections;
    document.getElementById("connections").textContent = Object.entries(left).map(([name, count]) => name.replace("_", " ") + " " + count).join(", ");
    put("owed", "$" + figures.owed.toFixed(2));
    document.getElementById("meter").style.width = (figures.wanted ? 100 * done / figures.wanted : 0) + "%";
    const fresh = JSON.stringify(figures.workers);
    if (fresh !== listed) document.getElementById("workers").replaceChildren(...figures.workers.map(row));
    listed = fresh;
  }
  async function ask() {
    if (document.hidden) return;
    try {
      const response = await fetch(at + "/progress.json");
      if (response.ok) show(await response.json());
    } catch (error) { /* the server is away: the next try may find it */ }
  }
  document.getElementById("close").addEventListener("submit", (event) => {
    if (!confirm("End every HIT now? Nobody can begin one then.")) event.preventDefault();
  });
  ask();
  setInterval(ask, 2000);
})();
