"use strict";
// The time that is left for this task; and returning it is asked about, because what was ticked goes with it.
(function () {
  document.getElementById("return").addEventListener("submit", (event) => {
    if (!confirm("Give this task back? What you have ticked is not kept.")) event.preventDefault();
  });
  const left = document.getElementById("left");
  const ends = Date.now() + 1000 * Number(left.dataset.seconds);
  function show() {
    const seconds = Math.max(0, Math.round((ends - Date.now()) / 1000));
    left.textContent = seconds ? Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0") + " left" : "time is over";
    left.classList.toggle("soon", seconds < 120);
  }
  show();
  setInterval(show, 1000);
})();
