// A picture of any size in tiles, with pan and zoom; and what is known of a file.
"use strict";

const TILE = 256;

/** Pan and zoom over tiles: `at` is the pixel of the picture in the middle, `scale` screen pixels for each. */
class Stage {
  constructor(box) {
    this.box = box;
    this.tiles = new Map();
    this.pointers = new Map();
    box.addEventListener("pointerdown", (event) => this.press(event));
    box.addEventListener("pointermove", (event) => this.pull(event));
    for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, (event) => this.release(event));
    box.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(2 ** (-event.deltaY * (event.deltaMode ? 20 : 1) / 300), event.clientX, event.clientY);
    }, { passive: false });
    box.addEventListener("dblclick", (event) => { if (event.target.tagName !== "BUTTON") this.zoom(2, event.clientX, event.clientY); });
    box.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  show(facts, urlOfTile) {
    this.clear();
    Object.assign(this, { facts, urlOfTile, version: 0 });
    this.fit();
  }

  /** The same picture, looked at in another way: what is there stays until the new tiles come. */
  change(urlOfTile) {
    this.urlOfTile = urlOfTile;
    this.version += 1;
    this.draw();
  }

  clear() {
    for (const image of this.tiles.values()) this.drop(image);
    this.tiles.clear();
    this.facts = null;
  }

  drop(image) {
    if (!image.complete) image.src = "data:,";
    image.remove();
  }

  fit() {
    const { width, height } = this.facts;
    this.at = { x: width / 2, y: height / 2 };
    this.scale = this.least = Math.min(this.box.clientWidth / width, this.box.clientHeight / height) || 1;
    this.draw();
  }

  zoom(by, clientX, clientY) {
    if (!this.facts) return;
    const { left, top, width, height } = this.box.getBoundingClientRect();
    const away = { x: (clientX ?? left + width / 2) - left - width / 2, y: (clientY ?? top + height / 2) - top - height / 2 };
    const scale = Math.min(32, Math.max(Math.min(this.least, 1) / 2, this.scale * by));
    this.at.x += away.x / this.scale - away.x / scale;
    this.at.y += away.y / this.scale - away.y / scale;
    this.scale = scale;
    this.draw();
  }

  pan(x, y) {
    if (!this.facts) return;
    this.at.x -= x / this.scale;
    this.at.y -= y / this.scale;
    this.draw();
  }

  press(event) {
    if (event.button || event.target.tagName === "BUTTON") return;
    this.box.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.box.classList.add("held");
  }

  pull(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
      this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
      this.zoom(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else {
      this.pan(now.x - before.x, now.y - before.y);
    }
    this.pointers.set(event.pointerId, now);
  }

  release(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.box.classList.remove("held");
  }

  key(event) {
    if (event.target.tagName === "BUTTON" || event.ctrlKey || event.metaKey || !this.facts) return;
    const pans = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] };
    if (event.key in pans) this.pan(...pans[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (event.key === "0") this.fit();
    else if (event.key === "1") this.zoom(1 / this.scale);
    else return;
    event.preventDefault();
  }

  draw() {
    if (!this.facts || !this.box.clientWidth) return;
    const { width, height, zoom: last } = this.facts;
    this.at.x = Math.min(width, Math.max(0, this.at.x));
    this.at.y = Math.min(height, Math.max(0, this.at.y));
    const sharp = this.scale * (window.devicePixelRatio || 1);
    const zoom = Math.min(last, Math.max(0, Math.ceil(last + Math.log2(sharp) - 0.2)));
    const factor = 2 ** (last - zoom), size = TILE * factor;
    const half = { x: this.box.clientWidth / 2 / this.scale, y: this.box.clientHeight / 2 / this.scale };
    const range = (at, half, all) => [Math.max(0, Math.floor((at - half) / size)),
      Math.min(Math.ceil(all / size) - 1, Math.floor((at + half) / size))];
    const [left, right] = range(this.at.x, half.x, width), [top, bottom] = range(this.at.y, half.y, height);
    const wanted = new Set();
    for (let y = top; y <= bottom; y++) for (let x = left; x <= right; x++) {
      const key = `${this.version}/${zoom}/${x}/${y}`;
      wanted.add(key);
      if (!this.tiles.has(key)) this.ask(key, zoom, x, y);
    }
    for (const [key, image] of this.tiles) {
      if (!wanted.has(key) && (!image.isHere || this.isDone(wanted))) { this.drop(image); this.tiles.delete(key); }
      else this.lay(image);
    }
    this.box.dataset.zoom = zoom;
    this.box.dataset.done = this.isDone(wanted);
    this.wanted = wanted;
  }

  isDone(wanted) {
    return [...wanted].every((key) => this.tiles.get(key)?.isHere);
  }

  ask(key, zoom, x, y) {
    const image = make("img", { alt: "", draggable: false, decoding: "async" });
    Object.assign(image, { zoom, column: x, line: y, isHere: false });
    image.style.zIndex = zoom + 1;
    image.addEventListener("load", () => {
      if (!this.tiles.has(key)) return;
      image.isHere = true;
      this.draw();
    });
    image.addEventListener("error", () => { if (this.tiles.get(key) === image && image.src !== "data:,") { image.isHere = true; image.hidden = true; } });
    this.tiles.set(key, image);
    image.src = this.urlOfTile(zoom, x, y);
    this.box.prepend(image);
  }

  lay(image) {
    const { width, height, zoom: last } = this.facts;
    const size = TILE * 2 ** (last - image.zoom);
    // Edges are rounded, not widths: no gap shows between neighbours.
    const edge = (value, at, middle) => Math.round((value - at) * this.scale + middle);
    const of = (index, all, at, middle) => [edge(index * size, at, middle), edge(Math.min((index + 1) * size, all), at, middle)];
    const [left, right] = of(image.column, width, this.at.x, this.box.clientWidth / 2);
    const [top, bottom] = of(image.line, height, this.at.y, this.box.clientHeight / 2);
    Object.assign(image.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px`,
      imageRendering: this.scale >= 3 ? "pixelated" : "auto" });
  }
}

const viewer = {
  start() {
    this.stage = new Stage($("stage"));
    $("close").addEventListener("click", () => go(state.path));
    $("view").addEventListener("cancel", (event) => { event.preventDefault(); go(state.path); });
    $("in").addEventListener("click", () => this.stage.zoom(1.5));
    $("out").addEventListener("click", () => this.stage.zoom(1 / 1.5));
    $("fit").addEventListener("click", () => this.stage.facts && this.stage.fit());
  },

  close() {
    this.asking?.abort();
    this.stage.clear();
    if ($("view").open) $("view").close();
  },

  async open(url, name) {
    this.asking?.abort();
    const { signal } = (this.asking = new AbortController());
    this.stage.clear();
    Object.assign(this, { url, name, bands: null, ranges: null });
    $("name").textContent = name;
    $("download").href = url;
    $("side").replaceChildren();
    this.note("Looking…");
    if (!$("view").open) $("view").showModal();
    const of = (word) => Object.assign(new URL(url), { search: word });
    let facts = null;
    try {
      const reply = await fetch(of("?tile=info"), { signal });
      if (reply.ok) facts = await reply.json();
      else this.note((await reply.text()).trim());
      if (reply.ok && !facts) this.note("This file has no picture.");
      if (facts) {
        this.note("");
        Object.assign(this, { facts, bands: facts.shown, ranges: facts.ranges.map((range) => range ?? [0, 1]) });
        this.stage.show(facts, (z, x, y) => this.tile(z, x, y));
        $("stage").focus();
      }
      const told = facts ? await fetch(new URL(`${url}.json`), { signal }) : null;
      this.aside(told?.ok ? await told.json() : null, facts);
    } catch (error) {
      if (error.name !== "AbortError") this.note(error.message);
    }
  },

  note(text) {
    $("note").textContent = text;
    $("note").hidden = !text;
  },

  tile(z, x, y) {
    const url = new URL(this.url);
    url.search = `?tile=${z}/${x}/${y}${this.way ?? ""}`;
    return url;
  },

  /** Shows it with other bands or another stretch, a moment after the last change. */
  changed() {
    clearTimeout(this.due);
    this.due = setTimeout(() => {
      this.way = `&bands=${this.bands.map((band) => band + 1)}&stretch=${this.ranges.flat()}`;
      this.stage.change((z, x, y) => this.tile(z, x, y));
    }, 150);
  },

  aside(told, facts) {
    this.way = "";
    const parts = [];
    if (facts) parts.push(...this.controls());
    parts.push(...this.lines(Boolean(facts)));
    if (told) {
      const { georeference, ...rest } = told;
      if (georeference) parts.push(make("h3", { textContent: "On the earth" }), table(georeference));
      parts.push(make("h3", { textContent: "What the header says" }), table(rest));
    }
    $("side").replaceChildren(...parts);
  },

  controls() {
    const box = make("div"), { facts } = this;
    const names = ["Red", "Green", "Blue"];
    const draw = () => {
      const isGray = this.bands.length === 1;
      const parts = [];
      if (facts.bands > 1) {
        const selects = this.bands.map((shown, at) => {
          const select = make("select", { ariaLabel: isGray ? "Band" : `${names[at]} band` });
          for (let band = 0; band < facts.bands; band++) select.append(make("option", { value: band, textContent: band + 1, selected: band === shown }));
          select.addEventListener("change", () => { this.bands[at] = Number(select.value); this.again(draw); });
          return select;
        });
        const way = make("button", { textContent: isGray ? "As colors" : "In gray" });
        way.addEventListener("click", () => {
          const three = facts.bands >= 3 ? [0, 1, 2] : [0, 0, 0];
          this.bands = isGray ? three : [this.bands[0]];
          this.again(draw);
        });
        if (facts.choice) parts.push(make("h3", { textContent: "Bands" }), make("div", { className: "bands" }, ...selects, way));
      }
      const reset = make("button", { textContent: "Stretch by itself" });
      reset.addEventListener("click", () => this.again(draw));
      parts.push(make("h3", { textContent: "Stretch" }));
      this.ranges.forEach((range, at) => parts.push(...this.sliders(range, isGray ? "" : names[at])));
      parts.push(reset);
      box.replaceChildren(...parts);
    };
    draw();
    return [box];
  },

  /** The stretch that these bands have by themselves. */
  async again(draw) {
    const url = new URL(this.url);
    url.search = `?tile=info&bands=${this.bands.map((band) => band + 1)}`;
    try {
      const facts = await answer(url, this.asking.signal);
      this.bands = facts.shown;
      this.ranges = facts.ranges.map((range) => range ?? [0, 1]);
      draw();
      this.changed();
    } catch (error) {
      if (error.name !== "AbortError") this.note(error.message);
    }
  },

  sliders(range, of) {
    const isWhole = !this.facts.sample.startsWith("float");
    const span = range[1] - range[0] || 1;
    const is8 = this.facts.sample === "uint8";
    const least = is8 ? 0 : this.facts.sample.startsWith("u") ? Math.max(0, range[0] - span) : range[0] - span;
    const most = is8 ? 255 : range[1] + 2 * span;
    return ["From", "To"].map((word, end) => {
      const step = isWhole ? 1 : span / 500;
      const name = of ? `${of} ${word.toLowerCase()}` : word;
      const slider = make("input", { type: "range", min: least, max: most, step, value: range[end], ariaLabel: name });
      const number = make("input", { type: "number", step: "any", value: Number(range[end].toPrecision(6)), ariaLabel: `${name}, as a number` });
      const set = (value, other) => {
        if (!Number.isFinite(value)) return;
        range[end] = value;
        other.value = value;
        this.changed();
      };
      slider.addEventListener("input", () => set(Number(slider.value), number));
      number.addEventListener("change", () => set(number.valueAsNumber, slider));
      return make("div", { className: "field" }, make("span", { textContent: name }), slider, number);
    });
  },

  lines(isImage) {
    const plain = this.url.href.split(/[?#]/)[0];
    const token = needsToken ? "?token=TOKEN" : "";
    const path = `${source.replace(/\/$/, "")}/${[...state.path, this.name].join("/")}`;
    const tif = /\.tiff?$/i.test(this.name) ? plain : `${plain}.tif`;
    const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
    const python = JSON.stringify;
    const list = isImage ? [
      ["Python", `import rasterio\nsource = rasterio.open(${python(`/vsicurl/${tif}${token}`)})\npixels = source.read()`],
      ["numpy", `import io, urllib.request, numpy\npixels = numpy.load(io.BytesIO(urllib.request.urlopen(${python(`${plain}.npy${token}`)}).read()))`],
      ["GDAL", `gdalinfo ${shell(`/vsicurl/${tif}${token}`)}`],
      ["QGIS: Layer, Add Raster Layer, Protocol HTTP(S), URI", `${tif}${token}`],
    ] : [
      ["Python", `import urllib.request\ndata = urllib.request.urlopen(${python(plain + token)}).read()`],
      ["Shell", `curl -O ${shell(plain + token)}`],
    ];
    list.push(["In the bucket", path]);
    const parts = [make("h3", { textContent: "Open it elsewhere" })];
    for (const [what, text] of list) {
      const copy = make("button", { textContent: "Copy", ariaLabel: `Copy the line for ${what}` });
      const pre = make("pre", { textContent: text, tabIndex: 0 });
      copy.addEventListener("click", () => copied(copy, pre));
      parts.push(make("div", { textContent: what }), make("div", { className: "line" }, pre, copy));
    }
    return parts;
  },
};

async function copied(button, pre) {
  try {
    await navigator.clipboard.writeText(pre.textContent);
  } catch {
    // Where a page may not: selected, so that a key does it.
    getSelection().selectAllChildren(pre);
    document.execCommand?.("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

/** Facts as a table; lists and objects in it as text. */
function table(facts) {
  const isSaid = ([, value]) => value !== null && !(Array.isArray(value) && !value.length);
  const rows = Object.entries(facts).filter(isSaid).map(([name, value]) => make("tr", {},
    make("th", { scope: "row", textContent: name.replaceAll("_", " ") }),
    make("td", { textContent: value !== null && typeof value === "object" ? JSON.stringify(value) : String(value) })));
  return make("table", {}, ...rows);
}

const figures = {
  start() {
    $("show-figures").addEventListener("click", () => this.open());
    $("close-figures").addEventListener("click", () => $("figures").close());
    $("figures").addEventListener("close", () => clearInterval(this.timer));
  },

  open() {
    $("figures").showModal();
    this.draw();
    clearInterval(this.timer);
    this.timer = setInterval(() => this.draw(), 2000);
  },

  async draw() {
    try {
      const url = new URL(root);
      url.search = "?figures";
      const told = await answer(url);
      const { requests, memory, inodes } = told.program;
      // What AWS asks in its oldest region; transfer is apart.
      const cost = (requests.list_requests * 0.005 + (requests.get_requests + requests.head_requests) * 0.0004) / 1000;
      const rows = {
        "Asked of this server": told.served_requests.toLocaleString("en"),
        "Sent by it": bytes(told.served_bytes),
        "Open connections": told.open_connections,
        "GET requests to the bucket": requests.get_requests.toLocaleString("en"),
        "Bytes from the bucket": bytes(requests.get_bytes),
        "LIST requests": requests.list_requests.toLocaleString("en"),
        "HEAD requests": requests.head_requests.toLocaleString("en"),
        "Tried again": requests.retry_requests.toLocaleString("en"),
        "Failed": requests.failed_requests.toLocaleString("en"),
        "Requests at AWS's list price": `about $${cost < 0.01 ? cost.toPrecision(2) : cost.toFixed(2)}`,
        "Names in use": inodes.toLocaleString("en"),
        "Memory": `${bytes(memory.used_bytes)} of ${bytes(memory.limit_bytes)}`,
      };
      $("rows").replaceChildren(...Object.entries(rows).map(([name, value]) =>
        make("tr", {}, make("th", { scope: "row", textContent: name }), make("td", { textContent: value }))));
      $("memory").value = memory.used_bytes / memory.limit_bytes;
    } catch (error) {
      $("rows").replaceChildren(make("tr", {}, make("td", { textContent: error.message })));
    }
  },
};

viewer.start();
figures.start();
startGallery();
