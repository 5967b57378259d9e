"use strict";
// The study was busy: the same is asked again in a moment, and a form is sent again as it was.
setTimeout(() => { const form = document.getElementById("again"); if (form) form.requestSubmit(); else location.reload(); }, 3000);
