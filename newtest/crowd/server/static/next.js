"use strict";
// After an answer the next task opens by itself, unless somebody pauses. The pause holds until they start one.
(function () {
  const KEY = "newtest:paused";
  const paused = () => { try { return sessionStorage.getItem(KEY) === "yes"; } catch (error) { return false; } };
  const remember = (value) => { try { sessionStorage.setItem(KEY, value); } catch (error) { /* no storage: this page only */ } };
  document.addEventListener("submit", () => remember("no"));
  const next = document.getElementById("next");
  if (!next) return;
  const when = document.getElementById("when"), pause = document.getElementById("pause");
  let seconds = 3, timer = null;
  function stop() {
    clearInterval(timer);
    when.textContent = next.dataset.paused;
    pause.hidden = true;
  }
  function show() { when.textContent = next.dataset.in.replace("{seconds}", seconds); }
  if (paused()) { stop(); return; }
  pause.hidden = false;
  pause.addEventListener("click", () => { remember("yes"); stop(); });
  show();
  timer = setInterval(() => {
    if (document.hidden) return;
    seconds -= 1;
    if (seconds > 0) { show(); return; }
    clearInterval(timer);
    next.requestSubmit();
  }, 1000);
})();
