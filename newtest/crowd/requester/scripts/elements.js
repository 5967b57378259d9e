"use strict";
// The form elements that image tasks use, and one answer for the whole form: "taskAnswers", a JSON list of one object,
// name -> text, or name -> {value: true or false}, or name -> {label: category}.
(function () {
  const STYLE = ".nt-label{display:block;margin:8px 0}.nt-label>span{display:block;font-weight:600}.nt-text{font:inherit;width:100%;max-width:40em;min-height:40px;padding:6px 10px;border:1px solid #7b8794;border-radius:8px}" +
    ".nt-pick{display:inline-flex;gap:8px;align-items:center;min-height:40px;margin:0 16px 0 0;cursor:pointer}.nt-pick input{width:20px;height:20px}" +
    ".nt-button{font:inherit;font-weight:650;min-height:44px;padding:0 22px;border:0;border-radius:10px;background:#0b7a4b;color:#fff;cursor:pointer}.nt-button:disabled{background:#d9dee5;color:#5b6675}.nt-button.normal{background:#e9edf1;color:#1d2530}.nt-button.link{background:none;color:#1a56c4}" +
    ".nt-classifier{display:grid;gap:16px;grid-template-columns:minmax(0,1fr)}@media(min-width:800px){.nt-classifier.two{grid-template-columns:minmax(180px,1fr) minmax(0,3fr)}}.nt-classifier img.nt-image{max-width:100%;max-height:65vh;display:block}.nt-options{display:grid;gap:2px;border:0;padding:0;margin:8px 0}" +
    "crowd-form,crowd-input,crowd-text-area,crowd-radio-group,crowd-classifier,crowd-image-classifier,crowd-instructions{display:block}crowd-form{padding:16px;font-family:system-ui,sans-serif;line-height:1.5}.nt-count{color:#5b6675;font-size:.88rem}iron-icon{display:none}";
  const preview = new URLSearchParams(location.search).get("assignmentId") === "ASSIGNMENT_ID_NOT_AVAILABLE";

  function make(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children.filter((child) => child !== null));
    return made;
  }
  const moved = (from) => { const part = document.createDocumentFragment(); part.append(...from.childNodes); return part; };
  const number = (text) => { const found = parseInt(text, 10); return Number.isFinite(found) && found >= 0 ? found : null; };

  class Part extends HTMLElement {
    connectedCallback() { if (!this.ready) { this.ready = true; this.build(); } }
    get name() { return this.getAttribute("name") || this.localName; }
    get disabled() { return this.field ? this.field.disabled : this.hasAttribute("disabled"); }
    set disabled(value) { if (this.field) this.field.disabled = value; this.toggleAttribute("disabled", value); }
    build() {}
    answer() { return null; }
  }

  class Form extends Part {
    build() {
      this.form = this.querySelector("form");
      if (!this.form) return;
      if (!this.form.querySelector("crowd-button[form-action=submit], button[type=submit], input[type=submit]")) {
        const button = document.createElement("crowd-button");
        button.setAttribute("form-action", "submit");
        button.textContent = "Submit";
        this.form.append(button);
      }
      this.form.addEventListener("formdata", (event) => this.collect(event.formData));
      this.form.addEventListener("submit", (event) => { if (preview) event.preventDefault(); });
    }
    submit() { this.form.requestSubmit(); }
    reset() { this.form.reset(); }
    get answers() {
      const found = {};
      const put = (name, value) => {
        if (value === null) return;
        found[name] = typeof value === "object" && typeof found[name] === "object" ? Object.assign(found[name], value) : value;
      };
      for (const part of this.form.querySelectorAll("*")) {
        if (part instanceof Part) put(part.name, part.answer());
        else if (part.name && !part.closest(".nt-own") && part.type !== "hidden") put(part.name, native(part));
      }
      return found;
    }
    collect(data) {
      const found = this.answers;
      const hidden = new Set(Array.from(this.form.querySelectorAll("input[type=hidden]:not(.nt-own *)"), (field) => field.name));
      for (const key of new Set(data.keys())) if (!hidden.has(key) && key !== "cannotSee") data.delete(key);
      if (this.getAttribute("answer-format") !== "flatten-objects") { data.set("taskAnswers", JSON.stringify([found])); return; }
      const flat = (prefix, value) => {
        if (value !== null && typeof value === "object") for (const [key, inner] of Object.entries(value)) flat(prefix + "." + key, inner);
        else data.set(prefix, String(value));
      };
      for (const [key, value] of Object.entries(found)) flat(key, value);
    }
  }
  function native(field) {
    if (field.disabled) return null;
    if (field.type === "checkbox" || field.type === "radio") return { [field.value]: field.checked };
    if (field.tagName === "SELECT" && field.multiple) return Object.fromEntries(Array.from(field.options, (option) => [option.value, option.selected]));
    return ["INPUT", "TEXTAREA", "SELECT"].includes(field.tagName) && !["submit", "button", "reset", "image"].includes(field.type) ? field.value : null;
  }

  class Button extends Part {
    build() {
      const kind = { submit: "submit", reset: "reset" }[this.getAttribute("form-action")] || "button";
      const look = "nt-button " + (this.getAttribute("variant") || "primary");
      const href = this.getAttribute("href");
      if (href && /^https?:/.test(href)) this.replaceChildren(make("a", { className: look, href, target: "_blank", rel: "noopener noreferrer" }, moved(this)));
      else {
        this.field = make("button", { type: kind, className: look, disabled: this.hasAttribute("disabled") || (preview && kind === "submit") }, moved(this));
        if (!this.field.textContent.trim()) this.field.textContent = kind === "submit" ? "Submit" : "";
        this.replaceChildren(this.field);
      }
    }
  }

  class Text extends Part {
    build() {
      const area = this.localName === "crowd-text-area";
      const get = (name) => this.getAttribute(name) || "";
      this.field = make(area ? "textarea" : "input", {
        className: "nt-text", placeholder: get("placeholder"), required: this.hasAttribute("required"), disabled: this.hasAttribute("disabled"), autofocus: this.hasAttribute("auto-focus"),
      });
      if (area) this.field.rows = number(get("rows")) || 3;
      else if (["text", "number", "email", "url", "date", "time", "tel", "password", "search", "range", "color", "month", "week", "datetime-local"].includes(get("type"))) this.field.type = get("type");
      if (number(get("max-length")) !== null) this.field.maxLength = number(get("max-length"));
      if (number(get("min-length")) !== null) this.field.minLength = number(get("min-length"));
      if (this.hasAttribute("auto-validate") && get("allowed-pattern") && !area) { this.field.pattern = "(?:" + get("allowed-pattern") + ")*"; this.field.title = get("error-message"); }
      this.field.value = this.field.defaultValue = get("value");
      const label = make("label", { className: "nt-label nt-own" }, get("label") ? make("span", { textContent: get("label") }) : null, this.field);
      if (!get("label")) this.field.setAttribute("aria-label", get("placeholder") || this.name);
      this.replaceChildren(label);
      if (this.hasAttribute("char-counter")) {
        const count = make("span", { className: "nt-count" });
        const show = () => { count.textContent = this.field.value.length; };
        this.field.addEventListener("input", show);
        show();
        label.append(count);
      }
    }
    get value() { return this.field ? this.field.value : this.getAttribute("value") || ""; }
    set value(text) { if (this.field) this.field.value = text; else this.setAttribute("value", text); }
    answer() { return this.field.disabled ? null : this.field.value.replace(/\r\n?/g, "\n"); }
  }

  let groups = 0;
  class Box extends Part {
    build() {
      const radio = this.localName === "crowd-radio-button";
      const group = radio && this.closest("crowd-radio-group");
      if (group && !group.number) group.number = ++groups;
      this.field = make("input", {
        type: radio ? "radio" : "checkbox", checked: this.hasAttribute("checked"), disabled: this.hasAttribute("disabled"), required: this.hasAttribute("required"),
        name: radio ? "nt-" + (group ? "group-" + group.number : "alone-" + ++groups) : "",
      });
      this.field.defaultChecked = this.field.checked;
      this.replaceChildren(make("label", { className: "nt-pick nt-own" }, this.field, make("span", {}, moved(this))));
    }
    get value() { return this.getAttribute("value") || "on"; }
    get checked() { return this.field ? this.field.checked : this.hasAttribute("checked"); }
    set checked(value) { if (this.field) this.field.checked = value; else this.toggleAttribute("checked", value); }
    answer() { return this.field.disabled && !this.hasAttribute("disabled") ? null : { [this.value]: this.field.checked }; }
  }
  class Group extends Part {}

  // Instructions, opened by a link or a button.
  function section(title, parts) {
    const found = parts.filter((part) => part !== null);
    return found.length ? make("section", {}, make("h3", { textContent: title }), ...found.map((part) => make("div", {}, moved(part)))) : null;
  }
  class Instructions extends Part {
    build() {
      const all = (name) => Array.from(this.querySelectorAll(name));
      const inside = [section("Summary", all("short-summary")), section("Detailed instructions", all("detailed-instructions")), section("Good examples", all("positive-example")), section("Bad examples", all("negative-example"))];
      this.replaceChildren(make("details", { className: "nt-own" }, make("summary", { textContent: this.getAttribute("link-text") || "Click for instructions" }), ...inside.filter((part) => part !== null)));
    }
  }

  function categories(text) {
    try { return JSON.parse(text).map(String); } catch (error) { /* the same with single quotes */ }
    return Array.from(text.matchAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g), (m) => (m[1] === undefined ? m[2] : m[1]).replace(/\\(.)/g, "$1"));
  }
  class Classifier extends Part {
    build() {
      const get = (name) => this.querySelector(name);
      const short = get("short-instructions"), full = get("full-instructions"), target = get("classification-target"), comment = get("worker-comment");
      this.choices = categories(this.getAttribute("categories") || "[]").map((category) => make("input", { type: "radio", name: "nt-classifier-" + groups, value: category, required: true }));
      groups += 1;
      const options = make("fieldset", { className: "nt-options" }, make("legend", { textContent: "Select an option" }), ...this.choices.map((choice) => make("label", { className: "nt-pick" }, choice, make("span", { textContent: choice.value }))));
      const aside = short || full ? make("div", {}, short ? make("div", {}, moved(short)) : null, full ? make("details", {}, make("summary", { textContent: full.getAttribute("header") || "Instructions" }), moved(full)) : null) : null;
      const picture = this.localName === "crowd-image-classifier" ? make("img", { className: "nt-image", src: this.getAttribute("src") || "", alt: "The picture to classify" }) : null;
      const shown = make("div", {}, make("h2", { textContent: this.getAttribute("header") || "" }), picture, target ? make("div", {}, moved(target)) : null, options);
      if (comment) {
        this.comment = make("textarea", { className: "nt-text", placeholder: comment.getAttribute("placeholder") || "", rows: 3 });
        shown.append(make("details", {}, make("summary", { textContent: comment.getAttribute("link-text") || "Add a comment" }), make("label", { className: "nt-label" }, moved(comment), this.comment)));
      }
      this.replaceChildren(make("div", { className: "nt-classifier nt-own" + (aside ? " two" : "") }, ...[aside, shown].filter((part) => part !== null)));
    }
    get value() { const chosen = this.choices.find((choice) => choice.checked && !choice.disabled); return chosen ? { label: chosen.value } : {}; }
    answer() {
      const value = this.value;
      if (this.comment && this.comment.value.trim()) value.workerComment = this.comment.value;
      return Object.keys(value).length ? value : null;
    }
  }

  const kinds = {
    "crowd-button": Button, "crowd-input": class extends Text {}, "crowd-text-area": class extends Text {}, "crowd-checkbox": class extends Box {}, "crowd-radio-button": class extends Box {},
    "crowd-radio-group": Group, "crowd-instructions": Instructions, "crowd-classifier": class extends Classifier {}, "crowd-image-classifier": class extends Classifier {}, "crowd-form": Form,
  };
  document.addEventListener("DOMContentLoaded", () => {
    document.head.append(make("style", { textContent: STYLE }));
    for (const [name, kind] of Object.entries(kinds)) customElements.define(name, kind);
    document.dispatchEvent(new Event("all-crowd-elements-ready"));
  });
})();
