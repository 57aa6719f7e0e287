"use strict";

const EVERY_MS = 2000;
const STALE_MS = 10000;
const dialog = document.getElementById("confirm");
const live = document.getElementById("live");
let answeredAt = performance.now();
let ahead = live ? Date.parse(live.dataset.now) - Date.now() : 0; // the server's clock, not the reader's

/* Airflow's own page around this one, if there is one. */

function airflow() {
  try {
    return window.parent !== window ? window.parent.document : null;
  } catch {
    return null; // a page of somebody else's
  }
}

function setting(key) {
  try {
    return localStorage.getItem(key)?.replaceAll('"', "") || "";
  } catch {
    return "";
  }
}

function dress() {
  const around = airflow();
  const theme = around ? around.documentElement.className : setting("theme");
  const known = /\b(dark|light)\b/.exec(theme);
  const root = document.documentElement;
  if (known) root.dataset.theme = known[1];
  if (around) {
    root.style.setProperty("--page", around.defaultView.getComputedStyle(around.body).backgroundColor);
    root.style.setProperty("--font", around.defaultView.getComputedStyle(around.body).fontFamily);
  }
}

const zone = setting("timezone") || "UTC";

function localize(root) {
  if (zone === "UTC") return;
  for (const time of root.querySelectorAll("time[data-kind]")) {
    const options = { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
    if (time.dataset.kind !== "time") Object.assign(options, { year: "numeric", month: "2-digit", day: "2-digit" });
    try {
      time.textContent = new Intl.DateTimeFormat("sv", options).format(new Date(time.dateTime));
    } catch {
      return; // a zone that the browser does not know
    }
  }
}

/* An update changes what has changed and nothing else: selections, open details, the focus and the scroll stay. */

function update(old, next) {
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && name !== "open" && name !== "style" && name !== "data-cursor") old.removeAttribute(name);
  }
  const coming = [...next.childNodes];
  const present = [...old.childNodes];
  coming.forEach((node, index) => {
    const before = present[index];
    if (!before) old.append(document.importNode(node, true));
    else if (before.nodeType !== node.nodeType || before.nodeName !== node.nodeName || before.id !== node.id) {
      before.replaceWith(document.importNode(node, true));
    } else if (node.nodeType !== Node.ELEMENT_NODE) {
      if (before.nodeValue !== node.nodeValue) before.nodeValue = node.nodeValue;
    } else if (!before.hasAttribute("data-kept")) update(before, node);
  });
  for (const left of present.slice(coming.length)) left.remove();
}

async function refresh(asked = false) {
  if (!live || (!asked && live.dataset.running !== "true") || document.hidden || !location.protocol.startsWith("http")) return;
  const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual" });
  if (answer.type === "opaqueredirect" || answer.status === 401) throw new Error("your login has ended: reload the page");
  if (!answer.ok) throw new Error(`Airflow answered ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.getElementById("live");
  if (!next) throw new Error("Airflow answered another page");
  localize(next);
  update(live, next);
  answeredAt = performance.now();
  ahead = Date.parse(live.dataset.now) - Date.now();
  point();
  tick();
}

/* What the clock moves. */

function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function tick() {
  const now = Date.now() + ahead;
  for (const each of document.querySelectorAll("[data-until]")) {
    const left = (Date.parse(each.dataset.until) - now) / 1000;
    const text = left > 0 ? `in ${span(left)}` : "now, once the last figures are in and green looks no worse than blue";
    if (each.textContent !== text) each.textContent = text;
  }
  for (const each of document.querySelectorAll(".age[data-read]")) {
    if (!each.dataset.read) continue;
    const age = (now - Date.parse(each.dataset.read)) / 1000;
    if (live.dataset.running === "true") each.textContent = `figures ${age < 120 ? `${Math.max(0, Math.round(age))} s` : span(age)} old`;
  }
}

let trouble = "";

function said(error) {
  trouble = error ? error.message : "";
  const link = document.getElementById("link");
  if (!link) return;
  const stale = performance.now() - answeredAt > STALE_MS;
  const text = error && stale ? `Not updated for ${span((performance.now() - answeredAt) / 1000)}: ${trouble}. Trying again.` : "";
  link.hidden = !text;
  if (link.textContent !== text) link.textContent = text;
}

/* One cursor for all pictures of a rollout. */

function rowAt(table, x) {
  let nearest = null;
  for (const row of table.tBodies[0].rows) {
    if (!nearest || Math.abs(row.dataset.x - x) <= Math.abs(nearest.dataset.x - x)) nearest = row;
  }
  return nearest;
}

function pointOf(charts) {
  const slider = charts.querySelector(".cursor");
  if (!slider) return;
  const x = Number(slider.value);
  const rows = {};
  for (const table of charts.querySelectorAll("table[data-table]")) rows[table.dataset.table] = rowAt(table, x);
  const first = Object.values(rows).find(Boolean);
  if (!first) return;
  charts.style.setProperty("--x", x / 1000);
  charts.querySelector(".value.at").textContent = first.cells[0].textContent;
  slider.setAttribute("aria-valuetext", first.cells[0].textContent);
  for (const value of charts.querySelectorAll("[data-column]")) {
    const row = rows[value.dataset.table];
    value.textContent = row ? row.cells[1 + Number(value.dataset.column)]?.textContent || "" : "";
  }
}

function point() {
  for (const charts of document.querySelectorAll(".charts")) pointOf(charts);
}

document.addEventListener("pointermove", (event) => {
  const plot = event.target.closest?.(".plot");
  const charts = plot?.closest(".charts");
  const slider = charts?.querySelector(".cursor");
  if (!slider) return;
  const box = plot.getBoundingClientRect();
  slider.value = Math.round((1000 * (event.clientX - box.left)) / box.width);
  charts.dataset.cursor = "";
  pointOf(charts);
});

document.addEventListener("input", (event) => {
  const charts = event.target.closest(".cursor")?.closest(".charts");
  if (!charts) return;
  charts.dataset.cursor = "";
  pointOf(charts);
});

/* What a person does. */

function confirmed(question, follows) {
  dialog.querySelector("#question").textContent = question;
  dialog.querySelector("#follows").textContent = follows;
  dialog.querySelector("input").value = "";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

async function wish(form, button) {
  const { endpoint, rollout } = form.dataset;
  const asks = { wish: button.dataset.wish, rollout, to: form.getAttribute("action") };
  if (!(await confirmed(`${button.textContent} the rollout of ${endpoint}?`, button.dataset.follows))) return;
  const output = document.getElementById(`o-${rollout}`);
  try {
    output.textContent = await asked(asks);
  } catch (error) {
    output.textContent = `Not sent: ${error.message}`;
  }
  await refresh(true);
}

async function asked({ wish, rollout, to }) {
  const answer = await fetch(to, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-SM-Rollout": "wish" },
    body: JSON.stringify({ rollout_id: rollout, wish, note: dialog.querySelector("input").value }),
  });
  const told = await answer.json().catch(() => ({}));
  return answer.ok ? told.done : `Refused: ${readable(told.detail) || answer.statusText || answer.status}`;
}

// Airflow's own answers may have objects where ours have a text.
function readable(detail) {
  if (Array.isArray(detail)) return detail.map(readable).join("; ");
  return detail && typeof detail === "object" ? detail.msg || detail.message || JSON.stringify(detail) : detail;
}

function copy(button) {
  const text = document.getElementById(button.dataset.copy);
  text.select();
  const done = document.execCommand("copy"); // works where the clipboard's newer interface is closed: in a frame, or without TLS
  button.textContent = done ? "Copied" : "Press Ctrl-C";
}

// Airflow's frame lets no link out by itself; a link of the page around it goes where that page may go.
function leave(event, link) {
  const around = airflow();
  if (!around) return;
  event.preventDefault();
  const out = around.createElement("a");
  out.href = link.href;
  if (event.ctrlKey || event.metaKey) out.target = "_blank";
  around.body.append(out);
  out.click();
  out.remove();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const link = event.target.closest("a[data-out]");
  if (button?.dataset.wish) wish(button.form, button).catch(said);
  else if (button?.dataset.copy) copy(button);
  else if (link) leave(event, link);
});

dress();
const around = airflow();
if (around) new MutationObserver(dress).observe(around.documentElement, { attributeFilter: ["class"] });
localize(document);
point();
tick();
setInterval(tick, 1000);
setInterval(() => refresh().then(() => said(null), said), EVERY_MS);
