"use strict";

const EVERY_MS = 2000;
const dialog = document.getElementById("confirm");

async function refresh() {
  const live = document.getElementById("live");
  if (!live || live.dataset.running !== "true" || document.hidden) return;
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.getElementById("live");
  if (!next) return;
  for (const open of live.querySelectorAll("details[open]")) {
    const same = open.id && next.querySelector(`#${CSS.escape(open.id)}`);
    if (same) same.open = true;
  }
  if (live.contains(document.activeElement) && document.activeElement.closest("details")) return;
  live.replaceWith(next);
  const [controls, changed] = [document, page].map((each) => each.getElementById("controls"));
  if (controls && changed && inProgress(controls) !== inProgress(changed)) controls.replaceWith(changed);
}

function inProgress(controls) {
  return [...controls.querySelectorAll("form")].map((form) => form.dataset.rollout).join();
}

function confirmed(question) {
  dialog.querySelector("#question").textContent = question;
  dialog.querySelector("input").value = "";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

async function wish(form, button) {
  if (!(await confirmed(`${button.textContent} the rollout of ${form.querySelector("b").textContent}?`))) return;
  const output = form.querySelector("output");
  try {
    output.textContent = await asked(form, button.dataset.wish);
  } catch (error) {
    output.textContent = `Not sent: ${error.message}`;
  }
  await refresh();
}

async function asked(form, wished) {
  const answer = await fetch(form.getAttribute("action"), {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-SM-Rollout": "wish" },
    body: JSON.stringify({
      rollout_id: form.dataset.rollout,
      wish: wished,
      note: dialog.querySelector("input").value,
    }),
  });
  const told = await answer.json().catch(() => ({}));
  return answer.ok ? told.done : `Refused: ${readable(told.detail) || answer.statusText || answer.status}`;
}

// Airflow's own answers may have objects where ours have a text.
function readable(detail) {
  if (Array.isArray(detail)) return detail.map(readable).join("; ");
  return detail && typeof detail === "object" ? detail.msg || detail.message || JSON.stringify(detail) : detail;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-wish]");
  if (button) wish(button.form, button).catch(() => {});
});

setInterval(() => refresh().catch(() => {}), EVERY_MS);
