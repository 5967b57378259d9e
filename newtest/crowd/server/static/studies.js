"use strict";
// The figures of all studies: the page is asked for again every three seconds, and its live parts are exchanged.
(function () {
  async function ask() {
    if (document.hidden) return;
    try {
      const response = await fetch(location.pathname);
      if (!response.ok) return;
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      document.querySelectorAll("[data-live]").forEach((part) => {
        const other = fresh.querySelector('[data-live="' + part.dataset.live + '"]');
        if (other && other.innerHTML !== part.innerHTML) part.replaceChildren(...other.childNodes);
      });
    } catch (error) { /* the server is away: the next try may find it */ }
  }
  document.getElementById("close").addEventListener("submit", (event) => {
    if (!confirm("End every HIT of every study now? Nobody can begin one then.")) event.preventDefault();
  });
  setInterval(ask, 3000);
})();
