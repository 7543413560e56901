// Makes the pages of the scheduler live. Everything also works without it.
//
// While "Live" is on and the page is seen, its live regions are fetched every two seconds and what has changed in them
// is changed in place: elements stay the same, so ticks, focus, scroll position and what is unfolded stay too. A region
// that has a name becomes what is fetched under that name; one that has none becomes all that is fetched.

const INTERVAL = 2000;
const LONGEST_INTERVAL = 30000;
const TOGGLE = "django_scheduler.live";

const regions = document.querySelectorAll("[data-live-region]");
const toggle = document.querySelector("[data-live-toggle]");
const status = document.querySelector("[data-live-status]");

let timer = 0;
let interval = INTERVAL;
let request = null;

if (regions.length && toggle) {
  toggle.hidden = false;
  show(isOn());
  toggle.addEventListener("click", () => {
    store(!isOn());
    show(isOn());
    isOn() ? refresh() : stop();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : isOn() && refresh()));
  if (isOn() && !document.hidden) schedule();
}

enhance(document);

function isOn() {
  try {
    return localStorage.getItem(TOGGLE) !== "off";
  } catch {
    return toggle.getAttribute("aria-pressed") !== "false"; // storage may be forbidden
  }
}

function store(on) {
  try {
    localStorage.setItem(TOGGLE, on ? "on" : "off");
  } catch {
    // It is then kept for this page only.
  }
}

function show(on) {
  toggle.setAttribute("aria-pressed", String(on));
}

function schedule() {
  clearTimeout(timer);
  timer = setTimeout(refresh, interval);
}

function stop() {
  clearTimeout(timer);
  request?.abort();
}

async function refresh() {
  clearTimeout(timer);
  request?.abort();
  const current = (request = new AbortController());
  try {
    const url = new URL(location.href);
    url.searchParams.set("live", "1");
    const response = await fetch(url, { signal: current.signal, credentials: "same-origin" });
    if (response.redirected || response.status === 403 || response.status === 404) {
      return stop(); // signed out, no longer permitted, or gone: what is shown stays
    }
    if (!response.ok) throw new Error(String(response.status));
    const text = await response.text();
    if (current.signal.aborted) return;
    if (response.status !== 204) update(text); // else the database was late: what is shown stays
    interval = INTERVAL;
    status.textContent = response.status === 204 ? status.dataset.late : "";
  } catch {
    if (current.signal.aborted) return;
    interval = Math.min(interval * 2, LONGEST_INTERVAL);
    status.textContent = status.dataset.failed;
  }
  if (isOn() && !document.hidden) schedule();
}

function update(text) {
  const fresh = new DOMParser().parseFromString(`<div>${text}</div>`, "text/html").body.firstElementChild;
  for (const region of regions) {
    const name = region.dataset.liveRegion;
    const source = name ? fresh.querySelector(`[data-live-region="${name}"]`) : fresh;
    if (source) morph(region, source);
  }
  enhance(document);
}

// Makes the children of one element equal to those of another, keeping the elements that both have.
function morph(before, after) {
  const keyed = new Map();
  for (const child of before.children) {
    const key = keyOf(child);
    if (key !== undefined) keyed.set(key, child);
  }
  let next = before.firstChild;
  for (const wanted of [...after.childNodes]) {
    const key = keyOf(wanted);
    const known = key === undefined ? undefined : keyed.get(key);
    if (known) {
      if (known === next) next = next.nextSibling;
      else before.insertBefore(known, next);
      keyed.delete(key);
      adapt(known, wanted);
    } else if (key === undefined && next && isSameKind(next, wanted)) {
      adapt(next, wanted);
      next = next.nextSibling;
    } else {
      before.insertBefore(wanted, next);
    }
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

// A row of a list of Django's own has no key, and is known by the page that it leads to.
function keyOf(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return undefined;
  return node.dataset.key ?? (node.matches("#result_list > tbody > tr") ? node.querySelector("th a")?.pathname : undefined);
}

function isSameKind(one, other) {
  if (one.nodeName !== other.nodeName || one.nodeType !== Node.ELEMENT_NODE) return one.nodeName === other.nodeName;
  // Not one.id: a form that has a field named "id" gives that.
  return keyOf(one) === undefined && one.getAttribute("id") === other.getAttribute("id");
}

function adapt(before, after) {
  if (before.nodeType !== Node.ELEMENT_NODE) {
    if (before.nodeValue !== after.nodeValue) before.nodeValue = after.nodeValue;
    return;
  }
  if (before.isEqualNode(after) || before.matches("[data-selected]")) return; // how many are selected, this file knows
  for (const { name, value } of [...after.attributes]) {
    if (before.getAttribute(name) !== value && !isKept(before, name)) before.setAttribute(name, value);
  }
  for (const { name } of [...before.attributes]) {
    if (!after.hasAttribute(name) && !isKept(before, name)) before.removeAttribute(name);
  }
  if (before.nodeName === "TEMPLATE") {
    if (before.innerHTML !== after.innerHTML) before.innerHTML = after.innerHTML;
  } else {
    morph(before, after);
  }
}

// What the user, or this file, has changed.
function isKept(element, name) {
  return name === "open" || (name === "class" && element.matches("#result_list tr")) || (name === "hidden" && element.matches("[data-tick-all], [data-copy]"));
}

function enhance(root) {
  for (const element of root.querySelectorAll("[data-tick-all], [data-copy]")) element.hidden = false;
  countTicks();
}

function ticks() {
  return [...document.querySelectorAll("td.ds-tick input")];
}

function countTicks() {
  const label = document.querySelector("[data-selected]");
  if (!label) return;
  const number = ticks().filter((tick) => tick.checked).length;
  const all = document.querySelector("[data-tick-all]");
  const isEvery = number > 0 && number === ticks().length;
  if (all) {
    all.checked = isEvery;
    all.indeterminate = number > 0 && !isEvery;
  }
  const text = number ? `${number} ${label.dataset.some}` : label.dataset.none;
  if (label.textContent !== text) label.textContent = text;
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-tick-all]")) {
    for (const tick of ticks()) tick.checked = target.checked;
  }
  if (target.closest(".ds-tick")) {
    const ticked = document.querySelector("[data-all-ticked]");
    if (ticked) ticked.checked = true;
    countTicks();
  }
  if (target.matches("[data-filters] select")) target.form.requestSubmit();
});

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const text = source.content ? source.content.textContent : source.textContent;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = button.dataset.copied;
    setTimeout(() => (button.textContent = label), 1500);
  } catch {
    // Without permission, or without HTTPS, the text can still be marked by hand.
  }
});

// Empty filters do not belong into the address.
document.querySelector("[data-filters]")?.addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});

// A large selection goes on by itself.
document.querySelector("[data-go-on]")?.requestSubmit();
