// What the pages do more with script: times in the reader's own time zone, waiting times that count, copy buttons, a CSV file
// read into its field, and live pages that follow the server's events. Without script every page still shows and does all.
"use strict";

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// ---- times ----

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

function tellTimes(root) {
  for (const time of all("time[datetime]", root)) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const text = "since" in time.dataset ? span((Date.now() - at) / 1000) : clock.format(at);
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = at.toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");
  }
}

// ---- copy ----

function showCopyButtons(root) {
  for (const button of all("[data-copy]", root)) button.hidden = !navigator.clipboard;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const label = one("[data-said]", button);
  try {
    await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
    const before = label.textContent;
    label.textContent = label.dataset.said;
    setTimeout(() => { label.textContent = before; }, 2000);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }
});

// ---- a CSV file goes into its field, so that one form serves typed and chosen lists ----

for (const input of all("input[type=file][data-into]")) {
  input.closest("[hidden]")?.removeAttribute("hidden");
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (file) document.getElementById(input.dataset.into).value = await file.text();
  });
}

// ---- a one-time link carries its secret behind the #, which no server and no log sees ----

const linkField = one("[data-from-fragment]");
if (linkField && location.hash.length > 1) {
  linkField.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  linkField.closest(".field").hidden = true;
}

// ---- what is shown once is gone when the page is left, also for the way back: browsers keep pages whole in memory ----

addEventListener("pagehide", () => all("[data-once]").forEach((secret) => secret.remove()));
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// ---- live pages ----

// Makes `now` look like `next` and keeps every element that stays, so that focus, selection and open details stay too.
function follow(now, next) {
  if (now.hasAttribute("data-connection")) return;
  for (const { name } of [...now.attributes]) if (!next.hasAttribute(name) && name !== "open") now.removeAttribute(name);
  for (const { name, value } of next.attributes) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  const keyed = new Map(all(":scope > [id]", now).map((child) => [child.id, child]));
  let at = now.firstChild;
  for (const wanted of [...next.childNodes]) {
    const mine = wanted.id ? keyed.get(wanted.id) : undefined;
    if (mine) {
      if (mine !== at) now.insertBefore(mine, at); else at = at.nextSibling;
      follow(mine, wanted);
    } else if (at && !at.id && !wanted.id && at.nodeType === wanted.nodeType && at.nodeName === wanted.nodeName) {
      const stays = at;
      at = at.nextSibling;
      if (stays.nodeType === Node.ELEMENT_NODE) follow(stays, wanted);
      else if (stays.data !== wanted.data) stays.data = wanted.data;
    } else {
      now.insertBefore(wanted.cloneNode(true), at);
    }
  }
  while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
}

const regions = all("[data-live]");
if (regions.length > 0) {
  const sign = one("[data-connection]");
  const PAUSE_MS = 1000;
  let due = false, busy = false, leaves = false, last = 0;

  const tell = (on) => {
    if (!sign) return;
    sign.classList.toggle("on", on);
    sign.textContent = on ? "Updates by itself" : "Not connected: what you see may be old";
  };

  async function refresh() {
    if (busy) { due = true; return; }
    busy = true;
    due = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected) { location.reload(); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const region of regions) {
        const next = page.getElementById(region.id);
        if (!next) { location.reload(); return; }
        follow(region, document.importNode(next, true));
        tellTimes(region);
        showCopyButtons(region);
      }
    } catch {
      tell(false);
    } finally {
      last = Date.now();
      busy = false;
      if (due) soon();
    }
  }

  let timer;
  function soon() {
    clearTimeout(timer);
    if (!leaves) timer = setTimeout(refresh, Math.max(0, last + PAUSE_MS - Date.now()));
  }

  const events = new EventSource("/api/v1/events");
  events.onopen = () => { tell(true); soon(); };
  events.onerror = () => tell(false);
  events.onmessage = soon;
  for (const kind of (regions[0].dataset.live || "").split(" ").filter(Boolean)) events.addEventListener(kind, soon);
  addEventListener("pagehide", () => events.close());
  // What a form has to say is for the page that follows it, not for a refresh that was under way.
  addEventListener("submit", () => { leaves = true; });
  // Levels, losses and delays are no events: while somebody looks on they are asked for.
  const every = Number(regions[0].dataset.every || 0) * 1000;
  if (every > 0) setInterval(() => { if (!document.hidden) soon(); }, every);
}

// ---- a page that works on something asks again until it is done ----

const working = one("[data-again-after]");
if (working) setTimeout(() => location.reload(), Number(working.dataset.againAfter) * 1000);

tellTimes(document);
showCopyButtons(document);
setInterval(() => tellTimes(document), 1000);

// ---- times in a form are the reader's own; the server is told them in UTC ----

for (const field of all("[data-utc-of]")) {
  const local = document.getElementById(field.dataset.utcOf);
  const note = one("[data-zone-note]");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (note && zone) note.textContent = `Both in your time zone, ${zone}.`;
  field.form.addEventListener("submit", () => {
    const at = new Date(local.value);
    field.value = Number.isNaN(at.getTime()) ? "" : at.toISOString();
  });
}
