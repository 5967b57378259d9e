"use strict";
// The time that is left for this task; and returning it is asked about, because what was ticked goes with it.
(function () {
  const back = document.getElementById("return");
  back.addEventListener("submit", (event) => {
    if (!confirm(back.dataset.sure)) event.preventDefault();
  });
  const left = document.getElementById("left");
  const ends = Date.now() + 1000 * Number(left.dataset.seconds);
  function show() {
    const seconds = Math.max(0, Math.round((ends - Date.now()) / 1000));
    const time = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
    left.textContent = seconds ? left.dataset.left.replace("{time}", "\u2066" + time + "\u2069") : left.dataset.over;
    left.classList.toggle("soon", seconds < 120);
  }
  show();
  setInterval(show, 1000);
})();
