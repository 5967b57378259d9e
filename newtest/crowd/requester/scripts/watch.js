"use strict";
// Pictures that do not load. What a picture shows cannot be voted on by somebody who does not see it: its boxes are
// cleared and locked, clicks on it do nothing, the page says so, and the addresses are sent along as "cannotSee".
(function () {
  const failed = new Map();
  const images = () => Array.from(document.images).filter((img) => img.getAttribute("src") || img.srcset);
  const FIELDS = "input:not([type=hidden]):not([type=submit]):not([type=button]), textarea, select";

  // What belongs to a picture: the largest part of the page around it that holds no other picture.
  function around(img) {
    let part = img;
    while (part.parentElement && !part.parentElement.matches("body, form, crowd-form") && part.parentElement.querySelectorAll("img").length === 1) part = part.parentElement;
    return part;
  }
  function fieldsOf(img) {
    const every = images();
    const label = img.closest("label");
    const form = img.closest("form") || document.forms[0];
    if (every.every((other) => failed.has(other))) return Array.from(document.querySelectorAll(FIELDS)); // nothing can be seen at all
    if (label && label.control) return [label.control];
    const inside = Array.from(around(img).querySelectorAll(FIELDS));
    if (inside.length || !form) return inside;
    // boxes of the same page in the order of the pictures: the k-th belongs to the k-th
    const boxes = Array.from(form.querySelectorAll("input[type=checkbox]"));
    return boxes.length === every.length ? [boxes[every.indexOf(img)]] : [];
  }
  function lock(img) {
    if (failed.has(img) || document.querySelector("[name=unseen]")) return; // a page with such boxes marks its own
    failed.set(img, []);
    img.style.outline = "3px dashed #a33b00";
    const fields = fieldsOf(img).filter((field) => !field.disabled);
    fields.forEach((field) => { if (field.matches("[type=checkbox], [type=radio]")) field.checked = false; field.disabled = true; });
    failed.set(img, fields);
    say();
  }
  function unlock(img) {
    if (!failed.has(img)) return;
    failed.get(img).forEach((field) => { field.disabled = false; });
    failed.delete(img);
    img.style.outline = "";
    say();
  }
  function say() {
    let note = document.getElementById("newtest-cannot-see");
    if (!failed.size) { if (note) note.remove(); return; }
    if (!note) {
      note = document.createElement("p");
      note.id = "newtest-cannot-see";
      note.setAttribute("role", "alert");
      note.style.cssText = "position:sticky;top:0;z-index:9999;margin:0;padding:10px 16px;background:#a33b00;color:#fff;font:600 16px/1.4 system-ui,sans-serif";
      document.body.prepend(note);
    }
    const every = images().length;
    note.textContent = (failed.size === 1 ? "A picture did not load" : failed.size + " pictures did not load") +
      ": you cannot answer for " + (failed.size === 1 ? "it" : "them") + ". Reload the page" +
      (failed.size >= every ? ", or submit it to say that you cannot see anything." : ", or go on with the others; that you cannot see " + (failed.size === 1 ? "it" : "them") + " is recorded.");
  }
  document.addEventListener("error", (event) => { if (event.target instanceof HTMLImageElement) lock(event.target); }, true);
  document.addEventListener("load", (event) => { if (event.target instanceof HTMLImageElement) unlock(event.target); }, true);
  for (const kind of ["click", "mousedown", "pointerdown", "touchstart"]) {
    document.addEventListener(kind, (event) => {
      for (const img of failed.keys()) {
        if (around(img).contains(event.target) && !event.target.closest("a, button, [type=submit]")) { event.preventDefault(); event.stopImmediatePropagation(); return; }
      }
    }, { capture: true, passive: false });
  }
  function check() { images().forEach((img) => { if (img.complete && img.naturalWidth === 0) lock(img); }); }
  document.addEventListener("DOMContentLoaded", check);
  window.addEventListener("load", check);
  document.addEventListener("formdata", (event) => {
    if (failed.size) event.formData.set("cannotSee", JSON.stringify(Array.from(failed.keys(), (img) => img.getAttribute("src") || img.srcset)));
  });
})();
