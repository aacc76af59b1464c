// The gallery: folders as a list of which only what is seen is in the page.
"use strict";

const $ = (id) => document.getElementById(id);
const root = new URL("../".repeat(Number(document.body.dataset.depth)) || "./", location.href.split(/[?#]/)[0]);
const source = document.body.dataset.source;
const needsToken = document.body.dataset.token === "1";
const FIRST = 1000, MORE = 5000, SETTLE_MS = 90;

const state = { path: [], entries: [], shown: [], next: null, loading: null, here: 0, mode: "grid", visible: new Map() };

function make(name, properties = {}, ...children) {
  const { dataset, ...rest } = properties;
  const element = Object.assign(document.createElement(name), rest);
  Object.assign(element.dataset, dataset);
  element.append(...children);
  return element;
}

function bytes(count) {
  if (count < 1024) return `${count} B`;
  const unit = Math.min(5, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** unit).toFixed(1)} ${["", "KiB", "MiB", "GiB", "TiB", "PiB"][unit]}`;
}

const when = (seconds) => new Date(seconds * 1000).toISOString().replace("T", " ").slice(0, 16);

/** The URL of names below the root. */
function urlOf(names, isFolder) {
  const path = names.map(encodeURIComponent).join("/");
  return new URL(path ? `./${path}${isFolder ? "/" : ""}` : "./", root);
}

function say(text, isBad = false) {
  $("said").textContent = text;
  $("said").classList.toggle("bad", isBad);
}

async function answer(url, signal) {
  const reply = await fetch(url, { signal });
  if (!reply.ok) throw new Error((await reply.text()).trim() || `status ${reply.status}`);
  return reply.json();
}

/** What is in the address: the folder, and behind # the file that is looked at. */
function place() {
  const rest = location.pathname.slice(root.pathname.length);
  const path = rest.split("/").filter(Boolean).map(decodeURIComponent);
  return { path, file: location.hash ? decodeURIComponent(location.hash.slice(1)) : null };
}

async function go(path, file = null, isNew = true) {
  const url = urlOf(path, true);
  if (file !== null) url.hash = encodeURIComponent(file);
  if (isNew) history.pushState(null, "", url);
  const isSame = state.loaded && path.join("/") === state.path.join("/");
  if (!isSame) await load(path);
  if (file !== null) viewer.open(urlOf([...path, file], false), file);
  else viewer.close();
}

async function load(path) {
  state.loading?.abort();
  clearItems();
  Object.assign(state, { path, entries: [], shown: [], next: "0", here: 0, loaded: true, loading: null });
  $("filter").value = "";
  $("scroll").scrollTop = 0;
  document.title = `${path.at(-1) ?? source} · s3mem`;
  crumbs();
  await more(FIRST);
  $("scroll").focus({ preventScroll: true });
}

function crumbs() {
  const parts = [make("a", { href: urlOf([], true), textContent: source })];
  state.path.forEach((name, at) => {
    parts.push(" / ", make("a", { href: urlOf(state.path.slice(0, at + 1), true), textContent: name }));
  });
  parts.at(-1).setAttribute?.("aria-current", "page");
  $("crumbs").replaceChildren(...parts);
}

async function more(limit = MORE) {
  if (state.next === null || state.loading) return;
  const mine = (state.loading = new AbortController());
  if (!state.entries.length) say("Listing…");
  try {
    const url = urlOf(state.path, true);
    url.search = `?format=json&after=${state.next}&limit=${limit}`;
    const page = await answer(url, mine.signal);
    if (state.loading !== mine) return;
    for (const entry of page.entries) state.entries.push(entry);
    state.next = page.next;
    state.loading = null;
    show();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (state.loading === mine) state.loading = null;
    say(`${error.message}`, true);
  }
}

/** Chooses what is shown, and says how much that is. */
function show() {
  const wanted = $("filter").value.trim().toLowerCase();
  state.shown = wanted ? state.entries.filter((e) => e.name.toLowerCase().includes(wanted)) : state.entries;
  const count = state.shown.length.toLocaleString("en");
  const rest = state.next === null ? "" : ", more as you scroll";
  say(state.entries.length || state.next !== null ? `${count} ${wanted ? "match" : "entries"}${rest}` : "Nothing is in here.");
  state.here = Math.min(state.here, Math.max(0, state.shown.length - 1));
  clearItems();
  draw();
}

function geometry() {
  const width = $("scroll").clientWidth;
  if (state.mode === "list") return { columns: 1, width, height: 44 };
  const columns = Math.max(2, Math.floor(width / 164));
  return { columns, width: width / columns, height: 172 };
}

function clearItems() {
  for (const item of state.visible.values()) drop(item);
  state.visible.clear();
}

function drop(item) {
  clearTimeout(item.timer);
  const image = item.querySelector("img");
  // A request that is under way ends with its source.
  if (image && !image.complete) image.src = "data:,";
  item.remove();
}

function draw() {
  const { columns, width, height } = geometry();
  const scroll = $("scroll"), all = $("all");
  all.className = state.mode;
  all.style.height = `${Math.ceil(state.shown.length / columns) * height}px`;
  const first = Math.max(0, Math.floor(scroll.scrollTop / height) - 2) * columns;
  const last = Math.min(state.shown.length, (Math.ceil((scroll.scrollTop + scroll.clientHeight) / height) + 2) * columns);
  for (const [at, item] of state.visible) {
    if (at < first || at >= last) { drop(item); state.visible.delete(at); }
  }
  for (let at = first; at < last; at++) {
    let item = state.visible.get(at);
    if (!item) state.visible.set(at, (item = itemOf(state.shown[at], at)));
    item.style.cssText = `left:${(at % columns) * width}px;top:${Math.floor(at / columns) * height}px;width:${width - 4}px;height:${height - 4}px`;
    item.classList.toggle("here", at === state.here);
    if (!item.isConnected) all.append(item);
  }
  const isNearEnd = all.offsetHeight - scroll.scrollTop < scroll.clientHeight * 3;
  if (isNearEnd) more();
}

function itemOf(entry, at) {
  const isFolder = entry.kind === "dir";
  const url = urlOf([...state.path, entry.name], isFolder);
  const face = make("span", { className: "face", ariaHidden: "true", textContent: isFolder ? "📁" : entry.image ? "🖼" : "📄" });
  const facts = isFolder ? "folder" : `${bytes(entry.bytes)}${state.mode === "list" ? `  ${when(entry.modified)}` : ""}`;
  const item = make("a", { className: "item", href: url, id: `item-${at}`, tabIndex: -1, title: entry.name },
    face, make("span", { className: "name", textContent: entry.name }), make("span", { className: "facts", textContent: facts }));
  item.setAttribute("role", "option");
  if (entry.image) item.timer = setTimeout(() => {
    const image = make("img", { alt: "", decoding: "async", draggable: false });
    image.onload = () => face.replaceChildren(image);
    const small = new URL(url);
    small.search = "?tile=small";
    image.src = small;
    // In the page from the start, so that it is found when it is given up.
    image.hidden = true;
    item.append(image);
    image.addEventListener("load", () => { image.hidden = false; });
  }, SETTLE_MS);
  item.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    state.here = at;
    open(entry);
  });
  return item;
}

const open = (entry) => entry.kind === "dir" ? go([...state.path, entry.name]) : go(state.path, entry.name);

function move(to) {
  const { columns, height } = geometry();
  state.here = Math.max(0, Math.min(state.shown.length - 1, to));
  const scroll = $("scroll"), top = Math.floor(state.here / columns) * height;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  else if (top + height > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + height - scroll.clientHeight;
  draw();
  scroll.setAttribute("aria-activedescendant", `item-${state.here}`);
}

function keys(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const { columns, height } = geometry();
  const page = Math.max(1, Math.floor($("scroll").clientHeight / height)) * columns;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: page, PageUp: -page };
  if (event.key in steps) move(state.here + steps[event.key]);
  else if (event.key === "Home") move(0);
  else if (event.key === "End") move(state.shown.length - 1);
  else if (event.key === "Enter" && state.shown[state.here]) open(state.shown[state.here]);
  else if (event.key === "Backspace" && state.path.length) go(state.path.slice(0, -1));
  else if (event.key === "/") $("filter").focus();
  else return;
  event.preventDefault();
}

function setMode(mode) {
  state.mode = mode;
  $("mode").textContent = mode === "grid" ? "List" : "Grid";
  clearItems();
  draw();
}

function startGallery() {
  document.body.classList.add("app");
  let isDue = false;
  const soon = () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => { isDue = false; draw(); });
  };
  $("scroll").addEventListener("scroll", soon, { passive: true });
  $("scroll").addEventListener("keydown", keys);
  new ResizeObserver(soon).observe($("scroll"));
  $("filter").addEventListener("input", () => { state.here = 0; $("scroll").scrollTop = 0; show(); });
  $("filter").addEventListener("keydown", (event) => { if (event.key === "Enter") $("scroll").focus(); });
  $("mode").addEventListener("click", () => setMode(state.mode === "grid" ? "list" : "grid"));
  $("crumbs").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const rest = new URL(link.href).pathname.slice(root.pathname.length);
    go(rest.split("/").filter(Boolean).map(decodeURIComponent));
  });
  addEventListener("popstate", () => { const { path, file } = place(); go(path, file, false); });
  const { path, file } = place();
  go(path, file, false);
}
